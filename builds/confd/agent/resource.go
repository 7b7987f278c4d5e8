package main

// A template resource: what conf.d/NAME.toml says, and how its file is brought up to date.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/template"
	"time"

	"github.com/BurntSushi/toml"
)

type resource struct {
	Src           string
	Dest          string
	Keys          []string
	Prefix        string
	Mode          string
	UID           *int
	GID           *int
	Owner         string
	Group         string
	CheckCmd      string `toml:"check_cmd"`
	ReloadCmd     string `toml:"reload_cmd"`
	CheckTimeout  string `toml:"check_cmd_timeout"`
	ReloadTimeout string `toml:"reload_cmd_timeout"`

	prefix        string
	template      string
	mode          os.FileMode // 0: that of the file in place, or 0644
	uid, gid      int
	checkTimeout  time.Duration
	reloadTimeout time.Duration
	pending       bool // the file in place has not been reloaded yet
}

func loadResource(file string, o *options) (*resource, error) {
	var content struct{ Template resource }
	known, err := toml.DecodeFile(file, &content)
	if err != nil {
		return nil, err
	}
	for _, key := range known.Undecoded() {
		logWarn("%s: %s is not known to this agent and left out of account", file, key)
	}
	r := &content.Template
	if r.Src == "" || r.Dest == "" || len(r.Keys) == 0 {
		return nil, errors.New("src, dest and keys are required")
	}
	r.prefix = strings.TrimSuffix(path.Join("/", o.prefix, r.Prefix), "/")
	r.template = filepath.Join(o.confdir, "templates", r.Src)
	if r.Mode != "" {
		mode, err := strconv.ParseUint(r.Mode, 8, 12)
		if err != nil {
			return nil, fmt.Errorf("mode: %w", err)
		}
		r.mode = os.FileMode(mode)
	}
	r.uid, err = numericID(r.UID, r.Owner, os.Geteuid(), func(name string) (string, error) {
		u, err := user.Lookup(name)
		if err != nil {
			return "", err
		}
		return u.Uid, nil
	})
	if err != nil {
		return nil, err
	}
	r.gid, err = numericID(r.GID, r.Group, os.Getegid(), func(name string) (string, error) {
		g, err := user.LookupGroup(name)
		if err != nil {
			return "", err
		}
		return g.Gid, nil
	})
	if err != nil {
		return nil, err
	}
	if r.checkTimeout, err = duration(r.CheckTimeout, o.checkTimeout); err != nil {
		return nil, fmt.Errorf("check_cmd_timeout: %w", err)
	}
	if r.reloadTimeout, err = duration(r.ReloadTimeout, o.reloadTimeout); err != nil {
		return nil, fmt.Errorf("reload_cmd_timeout: %w", err)
	}
	_, err = template.New(r.Src).Funcs(functions(nil)).ParseFiles(r.template)
	return r, err
}

func numericID(number *int, name string, fallback int, lookup func(string) (string, error)) (int, error) {
	if number != nil {
		return *number, nil
	}
	if name == "" {
		return fallback, nil
	}
	id, err := lookup(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(id)
}

func duration(text string, fallback time.Duration) (time.Duration, error) {
	if text == "" {
		return fallback, nil
	}
	return time.ParseDuration(text)
}

// keys are the resource's keys with its prefix, as they stand in etcd.
func (r *resource) keys() []string {
	var keys []string
	for _, key := range r.Keys {
		keys = append(keys, path.Join("/", r.prefix, key))
	}
	return keys
}

// sync brings the file up to date and has it reloaded. Unlike confd it remembers a reload that failed.
func (r *resource) sync(ctx context.Context, values map[string]string) error {
	content, err := r.render(values)
	if err != nil {
		return err
	}
	same, mode := r.inPlace(content)
	if !same {
		logInfo("Target config %s out of sync", r.Dest)
		if err := r.replace(ctx, content, mode); err != nil {
			return err
		}
		r.pending = r.ReloadCmd != ""
		logInfo("Target config %s has been updated", r.Dest)
	}
	if !r.pending {
		logDebug("Target config %s in sync", r.Dest)
		return nil
	}
	if err := r.command(ctx, r.ReloadCmd, "", r.reloadTimeout); err != nil {
		return fmt.Errorf("reload of %s failed, it will be tried again: %w", r.Dest, err)
	}
	r.pending = false
	return nil
}

func (r *resource) render(values map[string]string) ([]byte, error) {
	stripped := store{}
	for key, value := range values {
		stripped[path.Join("/", strings.TrimPrefix(key, r.prefix))] = value
	}
	t, err := template.New(filepath.Base(r.Src)).Funcs(functions(stripped)).ParseFiles(r.template)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, nil)
	return out.Bytes(), err
}

// inPlace tells whether the file has this content, mode and owner, and which mode it is to have.
func (r *resource) inPlace(content []byte) (bool, os.FileMode) {
	mode := r.mode
	if mode == 0 {
		mode = 0o644
	}
	info, err := os.Stat(r.Dest)
	if err != nil {
		return false, mode
	}
	if r.mode == 0 {
		mode = info.Mode().Perm()
	}
	old, err := os.ReadFile(r.Dest)
	owner, ok := info.Sys().(*syscall.Stat_t)
	return err == nil && ok && bytes.Equal(old, content) && info.Mode().Perm() == mode &&
		int(owner.Uid) == r.uid && int(owner.Gid) == r.gid, mode
}

// replace writes the new file beside the old one, has it checked, and renames it into place.
func (r *resource) replace(ctx context.Context, content []byte, mode os.FileMode) error {
	staged, err := os.CreateTemp(filepath.Dir(r.Dest), "."+filepath.Base(r.Dest))
	if err != nil {
		return err
	}
	defer os.Remove(staged.Name())
	_, err = staged.Write(content)
	if err = errors.Join(err, staged.Chmod(mode), staged.Chown(r.uid, r.gid), staged.Sync(), staged.Close()); err != nil {
		return err
	}
	if r.CheckCmd != "" {
		if err := r.command(ctx, r.CheckCmd, staged.Name(), r.checkTimeout); err != nil {
			return fmt.Errorf("config check failed: %w", err)
		}
	}
	return os.Rename(staged.Name(), r.Dest)
}

// command runs a check or a reload in a shell; {{.src}} is the new file, {{.dest}} the one in place.
func (r *resource) command(ctx context.Context, text, src string, limit time.Duration) error {
	if src == "" {
		src = r.Dest
	}
	t, err := template.New("command").Parse(text)
	if err != nil {
		return err
	}
	var line bytes.Buffer
	if err := t.Execute(&line, map[string]string{"src": src, "dest": r.Dest}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c := exec.CommandContext(ctx, "/bin/sh", "-c", line.String())
	// A child that the command leaves behind must not hold it up.
	c.WaitDelay = time.Second
	// The whole group ends at the timeout, not the shell alone.
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	output, err := c.CombinedOutput()
	if ctx.Err() != nil {
		err = fmt.Errorf("no end within %s", limit)
	}
	said := strings.TrimSpace(string(output))
	if err != nil {
		return fmt.Errorf("%s: %w: %s", line.String(), err, said)
	}
	logInfo("Command completed successfully command=%s output=%s", line.String(), said)
	return nil
}
