// A small stand-in for confd where confd itself can't be had. It keeps what a user of confd with etcd sees: the command
// line, conf.d/*.toml, the Go templates. This file reads the command line and starts one keeper for each resource.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

const version = "silverlining agent, for confd 0.41.1"

type options struct {
	nodes         []string
	confdir       string
	prefix        string
	level         string
	onetime       bool
	watch         bool
	checkOnly     bool
	interval      int
	checkTimeout  time.Duration
	reloadTimeout time.Duration
}

func main() {
	o, err := parse(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "confd: error:", err)
		os.Exit(1)
	}
	if err := run(o); err != nil {
		logError("%v", err)
		os.Exit(1)
	}
}

// parse accepts flags before and after the word "etcd", as confd does.
func parse(args []string) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("confd", flag.ContinueOnError)
	f.Usage = func() {
		fmt.Fprintf(f.Output(), "Usage: confd etcd [flags]   (%s)\n", version)
		f.PrintDefaults()
	}
	node := func(s string) error { o.nodes = append(o.nodes, s); return nil }
	f.Func("node", "etcd node address (repeatable)", node)
	f.Func("n", "short for -node", node)
	f.StringVar(&o.confdir, "confdir", "/etc/confd", "confd conf directory")
	f.StringVar(&o.prefix, "prefix", "", "key path prefix")
	f.StringVar(&o.level, "log-level", "info", "log level (debug, info, warn, error)")
	f.BoolVar(&o.onetime, "onetime", false, "run once and exit")
	f.BoolVar(&o.watch, "watch", false, "enable watch support")
	f.BoolVar(&o.checkOnly, "check-config", false, "validate configuration files and exit")
	f.IntVar(&o.interval, "interval", 600, "backend polling interval in seconds, without -watch")
	f.DurationVar(&o.checkTimeout, "check-cmd-timeout", 30*time.Second, "default timeout for check commands")
	f.DurationVar(&o.reloadTimeout, "reload-cmd-timeout", 60*time.Second, "default timeout for reload commands")
	showVersion := f.Bool("version", false, "print version and exit")

	backend := ""
	for {
		if err := f.Parse(args); err != nil {
			return nil, err
		}
		if f.NArg() == 0 {
			break
		}
		if backend != "" {
			return nil, fmt.Errorf("unexpected argument %s", f.Arg(0))
		}
		backend, args = f.Arg(0), f.Args()[1:]
	}
	switch {
	case *showVersion:
		fmt.Println("confd", version)
		return nil, flag.ErrHelp
	case backend == "":
		return nil, errors.New(`expected a backend: "confd etcd …"`)
	case backend != "etcd":
		return nil, fmt.Errorf("unexpected argument %s (this agent knows the backend etcd only)", backend)
	case o.interval < 1:
		return nil, errors.New("--interval must be at least 1")
	}
	if len(o.nodes) == 0 {
		o.nodes = []string{"http://127.0.0.1:2379"}
	}
	return o, setLevel(o.level)
}

func run(o *options) error {
	resources, err := loadResources(o)
	if err != nil || o.checkOnly {
		return err
	}
	logInfo("Starting confd")
	logInfo("Backend set to etcd")
	logInfo("Backend source(s) set to %v", o.nodes)

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	source, err := dial(o.nodes)
	if err != nil {
		return err
	}
	defer source.close()

	if o.onetime {
		var failed []error
		for _, r := range resources {
			failed = append(failed, once(ctx, source, r))
		}
		return errors.Join(failed...)
	}
	var keepers sync.WaitGroup
	for _, r := range resources {
		k := &keeper{source: source, resource: r}
		if !o.watch {
			k.interval = time.Duration(o.interval) * time.Second
		}
		keepers.Add(1)
		go func() { defer keepers.Done(); k.run(ctx) }()
	}
	keepers.Wait()
	logInfo("Stopped")
	return nil
}

// loadResources reads every conf.d/*.toml; one bad file is an error, as nobody looks at warnings of a start.
func loadResources(o *options) ([]*resource, error) {
	files, err := filepath.Glob(filepath.Join(o.confdir, "conf.d", "*.toml"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no template resources in %s", filepath.Join(o.confdir, "conf.d"))
	}
	var resources []*resource
	for _, file := range files {
		r, err := loadResource(file, o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		resources = append(resources, r)
	}
	return resources, nil
}
