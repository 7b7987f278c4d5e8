package main

// etcd: read the keys of a resource, and say when they have to be read again.

import (
	"context"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
)

const readTimeout = 5 * time.Second

type etcd struct{ client *clientv3.Client }

// dial does not wait for etcd: it may come later, or come back.
func dial(nodes []string) (*etcd, error) {
	pace := backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second}
	client, err := clientv3.New(clientv3.Config{
		Endpoints: nodes,
		// A peer that vanished without a word (a pause, a cut cable) is found out by these.
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 5 * time.Second,
		Logger:               zap.NewNop(),
		DialOptions: []grpc.DialOption{
			grpc.WithConnectParams(grpc.ConnectParams{Backoff: pace, MinConnectTimeout: 2 * time.Second}),
		},
	})
	if err != nil {
		return nil, err
	}
	return &etcd{client}, nil
}

func (e *etcd) close() { e.client.Close() }

// read returns what stands at or below the keys, and a revision not newer than any of it.
func (e *etcd) read(ctx context.Context, keys []string) (map[string]string, int64, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	values, revision := map[string]string{}, int64(0)
	for _, key := range keys {
		answer, err := e.client.Get(ctx, key, clientv3.WithPrefix())
		if err != nil {
			return nil, 0, err
		}
		if revision == 0 || answer.Header.Revision < revision {
			revision = answer.Header.Revision
		}
		for _, kv := range answer.Kvs {
			if name := string(kv.Key); below(name, key) {
				values[name] = string(kv.Value)
			}
		}
	}
	return values, revision, nil
}

// below: /app/servers holds /app/servers/1, but not /app/servers2.
func below(name, key string) bool {
	return name == key || strings.HasPrefix(name, strings.TrimSuffix(key, "/")+"/")
}

// changed returns when something happened after the revision, or when the watch can't be trusted any more: it was cut
// off (compaction), or the connection was lost. After a lost connection etcd may be another one, with lower revisions,
// and a watch that the client library resumed would wait for a number that does not come.
func (e *etcd) changed(ctx context.Context, keys []string, revision int64) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, key := range keys {
		events := e.client.Watch(clientv3.WithRequireLeader(ctx), key, clientv3.WithPrefix(), clientv3.WithRev(revision+1))
		go func() {
			defer cancel()
			answer, ok := <-events
			if ok && answer.Err() != nil {
				logWarn("Watch ended: %v", answer.Err())
			}
		}()
	}
	connection := e.client.ActiveConnection()
	go func() {
		defer cancel()
		for state := connection.GetState(); state == connectivity.Ready; state = connection.GetState() {
			if !connection.WaitForStateChange(ctx, state) {
				return
			}
		}
		logWarn("Connection to etcd lost")
	}()
	<-ctx.Done()
}
