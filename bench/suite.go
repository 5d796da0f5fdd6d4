package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// options are what a run of the bench may be told.
type options struct {
	gateway string
	results string
	rounds  int
	only    string
	scale   bool
	address string // of the mock, for peers that must know it; any when it is empty
	peers   []peer
}

// A peer is another gateway that runs already, with the mock's address as its upstream.
type peer struct {
	name, url string
	pid       int
}

func (o *options) register(flags *flag.FlagSet) {
	flags.StringVar(&o.gateway, "gateway", "bin/composer-api", "the gateway's program")
	flags.StringVar(&o.results, "results", "bench/results", "folder for the table and the drawings")
	flags.IntVar(&o.rounds, "rounds", 5, "rounds of each contest")
	flags.StringVar(&o.only, "only", "", "names of the parts to run, with commas between; empty is all")
	flags.BoolVar(&o.scale, "scale", false, "the large scenarios: 10,000 parked runs for two minutes, 2,000 streams, 4 MB prompts")
	flags.StringVar(&o.address, "mock-address", "", "where the mock listens, for the configuration of peers")
	flags.Func("peer", "another gateway, as name=url,pid; may be repeated", func(s string) error {
		name, rest, ok := strings.Cut(s, "=")
		url, pid, ok2 := strings.Cut(rest, ",")
		n, err := strconv.Atoi(pid)
		if !ok || !ok2 || err != nil {
			return fmt.Errorf("%q is not name=url,pid", s)
		}
		o.peers = append(o.peers, peer{name, url, n})
		return nil
	})
}

// A suite is one run of the bench: the servers that all contests share, and what has come out so far.
type suite struct {
	options
	lab     *lab
	servers []*server // the first is direct
	seed    int
	rows    []row
	plots   map[string]*plot // by the file's name, without .svg
	notes   []string
}

// A part is a group of scenarios that can be run alone.
type part struct {
	name string
	run  func(*suite, context.Context) error
}

// parts are in the order in which they are run and printed. The crowds leave first, because their servers are looked at again a
// minute later.
var parts = []part{
	{"words", (*suite).words},
	{"events", (*suite).events},
	{"prompts", (*suite).prompts},
	{"parked", (*suite).parked},
	{"moments", (*suite).moments},
	{"neighbours", (*suite).neighbours},
}

// maxTime bounds a run of the bench, whatever hangs, and maxScaleTime one of the large scenarios. Both leave room for a busy
// machine.
const (
	maxTime      = 20 * time.Minute
	maxScaleTime = 40 * time.Minute
)

// measure runs the parts and writes the table. The servers end with it.
func (o options) measure(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	gateway, err := filepath.Abs(o.gateway)
	if err != nil {
		return err
	}
	s := &suite{options: o, lab: &lab{self: self, gateway: gateway, dir: dir}, plots: make(map[string]*plot)}
	if err := s.start(ctx); err != nil {
		return err
	}
	defer s.stop()
	begin := time.Now()
	most := maxTime
	if o.scale {
		most = maxScaleTime
	}
	ctx, cancel := context.WithTimeoutCause(ctx, most, fmt.Errorf("the bench took longer than %v", most))
	defer cancel()
	crowds, err := s.crowds(ctx)
	if err != nil {
		return err
	}
	defer crowds.stop()
	for _, p := range parts {
		if !s.wants(p.name) {
			continue
		}
		if err := p.run(s, ctx); err != nil {
			fmt.Print(s.text(begin)) // what was measured before
			return err
		}
	}
	if err := crowds.report(ctx, s); err != nil {
		return err
	}
	return s.report(begin)
}

// wants reports whether a part is to be run.
func (o options) wants(name string) bool {
	return o.only == "" || strings.Contains(","+o.only+",", ","+name+",")
}

// start starts the servers that the contests share.
func (s *suite) start(ctx context.Context) error {
	mock, err := s.lab.mockAt(ctx, s.options.address, 16<<10)
	if err != nil {
		return err
	}
	s.servers = []*server{mock}
	for _, name := range []string{nameNginx, nameProxy, nameFloor, nameHeld, nameOurs} {
		if name == nameNginx {
			if _, err := findNginx(); err != nil {
				s.notes = append(s.notes, err.Error())
				continue
			}
		}
		one, err := s.lab.behind(ctx, name, mock)
		if err != nil {
			return err
		}
		s.servers = append(s.servers, one)
	}
	for _, p := range s.peers {
		s.servers = append(s.servers, &server{name: p.name, url: p.url, pid: p.pid})
	}
	return nil
}

func (s *suite) stop() {
	for _, one := range s.servers {
		one.stop()
	}
}

// names are the servers' names, for the table's columns.
func (s *suite) names() []string {
	var names []string
	for _, one := range s.servers {
		names = append(names, one.name)
	}
	return names
}

// some are the servers of those names.
func (s *suite) some(names ...string) []*server {
	var some []*server
	for _, one := range s.servers {
		for _, name := range names {
			if one.name == name {
				some = append(some, one)
			}
		}
	}
	return some
}

// contest runs a contest between servers.
func (s *suite) contest(ctx context.Context, name string, servers []*server, do load) (map[string]result, error) {
	return contest{name: name, servers: servers, rounds: s.rounds, load: do}.run(ctx, &s.seed)
}

// column picks one figure of every server's result, in another unit.
func column(results map[string]result, of func(result) spread, factor float64) map[string]spread {
	figures := make(map[string]spread)
	for name, r := range results {
		figures[name] = of(r).scale(factor)
	}
	return figures
}

// The figures of a result.
func cpuOf(r result) spread { return r.cpu }
func p50Of(r result) spread { return r.p50 }
func p99Of(r result) spread { return r.p99 }
