package main

// The functions that templates call, under confd's names.

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path"
	"slices"
	"sort"
	"strconv"
	"strings"
	"text/template"
	"time"
)

// KVPair is what get and gets give to a template.
type KVPair struct{ Key, Value string }

// store holds the keys of one resource, without its prefix.
type store map[string]string

func (s store) get(key string) (KVPair, error) {
	value, ok := s[key]
	if !ok {
		return KVPair{}, fmt.Errorf("key does not exist: %s", key)
	}
	return KVPair{key, value}, nil
}

// gets: all keys that match, sorted; none is no error.
func (s store) gets(pattern string) ([]KVPair, error) {
	pairs := []KVPair{}
	for key, value := range s {
		ok, err := path.Match(pattern, key)
		if err != nil {
			return nil, err
		}
		if ok {
			pairs = append(pairs, KVPair{key, value})
		}
	}
	sort.Slice(pairs, func(i, j int) bool { return pairs[i].Key < pairs[j].Key })
	return pairs, nil
}

func (s store) getv(key string, fallback ...string) (string, error) {
	pair, err := s.get(key)
	if err != nil && len(fallback) > 0 {
		return fallback[0], nil
	}
	return pair.Value, err
}

func (s store) getvs(pattern string) ([]string, error) {
	pairs, err := s.gets(pattern)
	values := []string{}
	for _, pair := range pairs {
		values = append(values, pair.Value)
	}
	slices.Sort(values)
	return values, err
}

// list gives the names right below a path; with directories only those that have names below them.
func (s store) list(where string, directories bool) []string {
	names := []string{}
	for key := range s {
		rest, ok := strings.CutPrefix(key, strings.TrimSuffix(where, "/")+"/")
		if !ok {
			if key == where && !directories {
				names = append(names, path.Base(key))
			}
			continue
		}
		name, _, deeper := strings.Cut(rest, "/")
		if deeper || !directories {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func functions(s store) template.FuncMap {
	return template.FuncMap{
		"exists": func(key string) bool { _, ok := s[key]; return ok },
		"get":    s.get,
		"gets":   s.gets,
		"getv":   s.getv,
		"getvs":  s.getvs,
		"ls":     func(where string) []string { return s.list(where, false) },
		"lsdir":  func(where string) []string { return s.list(where, true) },

		"base":       path.Base,
		"dir":        path.Dir,
		"split":      strings.Split,
		"join":       strings.Join,
		"replace":    strings.Replace,
		"contains":   strings.Contains,
		"toUpper":    strings.ToUpper,
		"toLower":    strings.ToLower,
		"trimPrefix": strings.TrimPrefix,
		"trimSuffix": strings.TrimSuffix,

		"json":         decode[map[string]any],
		"jsonArray":    decode[[]any],
		"base64Encode": func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) },
		"base64Decode": func(text string) (string, error) {
			raw, err := base64.StdEncoding.DecodeString(text)
			return string(raw), err
		},

		"atoi":      strconv.Atoi,
		"parseBool": strconv.ParseBool,
		"add":       func(a, b int) int { return a + b },
		"sub":       func(a, b int) int { return a - b },
		"mul":       func(a, b int) int { return a * b },
		"div":       func(a, b int) int { return a / b },
		"mod":       func(a, b int) int { return a % b },
		"seq":       sequence,
		"map":       dictionary,
		"reverse":   reverse,

		"datetime":   time.Now,
		"getenv":     environment,
		"hostname":   os.Hostname,
		"fileExists": func(name string) bool { _, err := os.Stat(name); return err == nil },
		"lookupIP":   func(host string) []string { return addresses(host, "ip") },
		"lookupIPV4": func(host string) []string { return addresses(host, "ip4") },
		"lookupIPV6": func(host string) []string { return addresses(host, "ip6") },
	}
}

func decode[T any](text string) (T, error) {
	var value T
	err := json.Unmarshal([]byte(text), &value)
	return value, err
}

func sequence(first, last int) []int {
	numbers := []int{}
	for n := first; n <= last; n++ {
		numbers = append(numbers, n)
	}
	return numbers
}

func dictionary(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, errors.New("map: a key without a value")
	}
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		key, ok := pairs[i].(string)
		if !ok {
			return nil, errors.New("map: a key is not a string")
		}
		m[key] = pairs[i+1]
	}
	return m, nil
}

func reverse(values any) (any, error) {
	switch v := values.(type) {
	case []string:
		v = slices.Clone(v)
		slices.Reverse(v)
		return v, nil
	case []KVPair:
		v = slices.Clone(v)
		slices.Reverse(v)
		return v, nil
	}
	return nil, fmt.Errorf("reverse: can't reverse %T", values)
}

func environment(name string, fallback ...string) string {
	if value, ok := os.LookupEnv(name); ok && value != "" || len(fallback) == 0 {
		return value
	}
	return fallback[0]
}

// addresses are sorted, as a name server may shuffle them and each order would be another file.
func addresses(host, network string) []string {
	found, err := net.DefaultResolver.LookupIP(context.Background(), network, host)
	if err != nil {
		return nil
	}
	texts := []string{}
	for _, ip := range found {
		texts = append(texts, ip.String())
	}
	slices.Sort(texts)
	return texts
}
