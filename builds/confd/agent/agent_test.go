package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// setUp makes a confdir with one resource that lies under the prefix /app.
func setUp(t *testing.T, tmpl, extra string) (*resource, string) {
	t.Helper()
	dir := t.TempDir()
	dest := filepath.Join(dir, "out")
	write(t, filepath.Join(dir, "templates", "x.tmpl"), tmpl)
	write(t, filepath.Join(dir, "conf.d", "x.toml"),
		"[template]\nsrc = \"x.tmpl\"\nprefix = \"/app\"\nkeys = [\"/servers\"]\ndest = \""+dest+"\"\n"+extra)
	found, err := loadResources(&options{confdir: dir, checkTimeout: time.Second, reloadTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return found[0], dest
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func content(name string) string {
	text, _ := os.ReadFile(name)
	return string(text)
}

var two = map[string]string{"/app/servers/b": "2:80", "/app/servers/a": "1:80"}

func TestCommandLine(t *testing.T) {
	o, err := parse(strings.Fields("--log-level warn etcd --node http://a:1 --node=http://b:2 --watch --confdir /c"))
	if err != nil || !slices.Equal(o.nodes, []string{"http://a:1", "http://b:2"}) || !o.watch || o.confdir != "/c" {
		t.Fatalf("%+v, %v", o, err)
	}
	defer setLevel("info")
	for _, bad := range []string{"", "consul", "etcd more", "etcd --log-level loud", "etcd --interval 0", "etcd --backend etcdv3"} {
		if _, err := parse(strings.Fields(bad)); err == nil || errors.Is(err, flag.ErrHelp) {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestFunctions(t *testing.T) {
	tmpl := `{{range gets "/servers/*"}}{{base .Key}}={{.Value}} {{end}}{{join (getvs "/servers/*") ","}}` +
		` {{exists "/servers/a"}} {{exists "/servers/z"}} {{getv "/servers/z" "none"}} {{index (split "x:y" ":") 1}}` +
		` {{dir "/a/b"}} {{(json "{\"k\":\"v\"}").k}} {{index (jsonArray "[7]") 0}} {{ls "/servers"}} {{range gets "/none/*"}}no{{end}}`
	r, dest := setUp(t, tmpl, "")
	if err := r.sync(context.Background(), two); err != nil {
		t.Fatal(err)
	}
	want := "a=1:80 b=2:80 1:80,2:80 true false none y /a v 7 [a b] "
	if got := content(dest); got != want {
		t.Fatalf("got  %q\nwant %q", got, want)
	}
}

func TestMissingKeyLeavesTheFile(t *testing.T) {
	r, dest := setUp(t, `{{getv "/servers/z"}}`, "")
	write(t, dest, "old")
	if err := r.sync(context.Background(), two); err == nil || content(dest) != "old" {
		t.Fatalf("%v, %q", err, content(dest))
	}
}

func TestFailedCheckLeavesTheFileAndNothingBeside(t *testing.T) {
	r, dest := setUp(t, `new`, "check_cmd = \"grep -q old {{.src}}\"\n")
	write(t, dest, "old")
	err := r.sync(context.Background(), two)
	beside, _ := filepath.Glob(filepath.Join(filepath.Dir(dest), ".out*"))
	if err == nil || content(dest) != "old" || len(beside) != 0 {
		t.Fatalf("%v, %q, %v", err, content(dest), beside)
	}
}

func TestFailedReloadIsTriedAgain(t *testing.T) {
	r, dest := setUp(t, `new`, "mode = \"0600\"\nreload_cmd = \"echo x >> {{.dest}}.log; test -e {{.dest}}.allowed\"\n")
	ctx := context.Background()
	if err := r.sync(ctx, two); err == nil || !r.pending || content(dest) != "new" {
		t.Fatalf("%v, pending %v", err, r.pending)
	}
	write(t, dest+".allowed", "")
	if err := errors.Join(r.sync(ctx, two), r.sync(ctx, two)); err != nil || r.pending {
		t.Fatalf("%v, pending %v", err, r.pending)
	}
	if log := content(dest + ".log"); log != "x\nx\n" {
		t.Fatalf("reloads: %q", log)
	}
	if info, _ := os.Stat(dest); info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v", info.Mode())
	}
}

func TestCommandTimeoutEndsItsChildren(t *testing.T) {
	r, _ := setUp(t, `new`, "reload_cmd = \"sleep 60 | cat\"\nreload_cmd_timeout = \"300ms\"\n")
	start := time.Now()
	err := r.sync(context.Background(), two)
	if err == nil || !strings.Contains(err.Error(), "no end within 300ms") || time.Since(start) > 5*time.Second {
		t.Fatalf("%v after %v", err, time.Since(start))
	}
}

func TestBadResources(t *testing.T) {
	for _, text := range []string{"[template]\nsrc=\"x\"", "[template", "[template]\nsrc=\"x\"\ndest=\"/d\"\nkeys=[\"/\"]\nmode=\"9\""} {
		file := filepath.Join(t.TempDir(), "x.toml")
		write(t, file, text)
		if _, err := loadResource(file, &options{}); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestBelow(t *testing.T) {
	for name, want := range map[string]bool{"/a/b": true, "/a": true, "/ab": false} {
		if below(name, "/a") != want {
			t.Errorf("below(%q)", name)
		}
	}
}
