package main

// Log lines in confd's manner: time, host, program, level, message.

import (
	"fmt"
	"os"
	"time"
)

var levels = map[string]int{"debug": 0, "info": 1, "warn": 2, "warning": 2, "error": 3}

var threshold = levels["info"]

func setLevel(name string) error {
	n, ok := levels[name]
	if !ok {
		return fmt.Errorf("--log-level must be one of debug, info, warn, error, not %q", name)
	}
	threshold = n
	return nil
}

func log(level int, name, format string, args ...any) {
	if level < threshold {
		return
	}
	host, _ := os.Hostname()
	when := time.Now().UTC().Format(time.RFC3339)
	fmt.Fprintf(os.Stderr, "%s %s %s[%d]: %s %s\n", when, host, os.Args[0], os.Getpid(), name, fmt.Sprintf(format, args...))
}

func logDebug(format string, args ...any) { log(0, "DEBUG", format, args...) }
func logInfo(format string, args ...any)  { log(1, "INFO", format, args...) }
func logWarn(format string, args ...any)  { log(2, "WARN", format, args...) }
func logError(format string, args ...any) { log(3, "ERROR", format, args...) }
