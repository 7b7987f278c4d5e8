package main

// A keeper keeps one resource up to date for as long as the program runs.

import (
	"context"
	"time"
)

type keeper struct {
	source   *etcd
	resource *resource
	interval time.Duration // 0: watch
}

func once(ctx context.Context, source *etcd, r *resource) error {
	values, _, err := source.read(ctx, r.keys())
	if err != nil {
		return err
	}
	return r.sync(ctx, values)
}

// run reads, brings the file up to date and waits: for a change, for the next poll, or for the next attempt after a
// failure, which comes sooner at first and every 15 s later.
func (k *keeper) run(ctx context.Context) {
	delay, said := time.Duration(0), ""
	for ctx.Err() == nil {
		values, revision, err := k.source.read(ctx, k.resource.keys())
		if err != nil {
			if ctx.Err() == nil && err.Error() != said {
				said = err.Error()
				logError("etcd can't be read, %s stays as it is: %v", k.resource.Dest, err)
			}
			pause(ctx, time.Second)
			continue
		}
		if said != "" {
			said = ""
			logInfo("etcd can be read again")
		}
		if err := k.resource.sync(ctx, values); err != nil && ctx.Err() == nil {
			logError("%v", err)
		}
		limit := k.interval
		if k.resource.pending {
			delay = min(max(2*delay, time.Second), 15*time.Second)
			if limit == 0 || delay < limit {
				limit = delay
			}
		} else {
			delay = 0
		}
		k.wait(ctx, revision, limit)
	}
}

// wait ends with a change (when watching) or after the limit, if there is one.
func (k *keeper) wait(ctx context.Context, revision int64, limit time.Duration) {
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	if k.interval > 0 {
		<-ctx.Done()
		return
	}
	k.source.changed(ctx, k.resource.keys(), revision)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
