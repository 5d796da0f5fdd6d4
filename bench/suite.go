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
	// gateway is the path of the program; results is a folder.
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
	// pid is for its CPU time; the process isn't ours, and is left running.
	pid int
}

// register makes a flag for each option.
func (o *options) register(flags *flag.FlagSet) {
	flags.StringVar(&o.gateway, "gateway", "bin/composer-api", "the gateway's program")
	flags.StringVar(&o.results, "results", "bench/results", "folder for the table and the drawings")
	flags.IntVar(&o.rounds, "rounds", 5, "rounds of each contest")
	flags.StringVar(&o.only, "only", "", "names of the parts to run, with commas between; empty is all")
	flags.BoolVar(&o.scale, "scale", false, "the large scenarios instead: 10,000 parked runs for two minutes, 2,000 streams, prompts of 4 MiB")
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
	// seed is another one for each trial, so that no server has seen a prompt before.
	seed  int
	begun time.Time
	rows  []row
	plots map[string]*plot // by the file's name, without .svg
	notes []string
}

// A part is a group of scenarios that can be run alone.
type part struct {
	name string
	// run adds rows to the suite.
	run func(*suite, context.Context) error
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

// scaleParts are those of the large scenarios. They measure nothing that parts do.
var scaleParts = []part{
	{"streams", (*suite).manyStreams},
	{"prompts", (*suite).longPrompts},
	{"neighbours", (*suite).largeNeighbours},
	{"parked", (*suite).longParked},
}

// maxTime bounds a run of the bench, whatever hangs. On a quiet machine it takes six minutes, and the large scenarios ten. When
// patience is over, no contest begins another round to find a steady baseline: what is left of the time is for the other parts.
const (
	maxTime  = 15 * time.Minute
	patience = 5 * time.Minute
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
	s.begun = time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, maxTime, fmt.Errorf("the bench took longer than %v", maxTime))
	defer cancel()
	// First, because a minute has to pass until its report.
	crowds, err := s.crowds(ctx)
	if err != nil {
		return err
	}
	defer crowds.stop()
	all := parts
	if o.scale {
		all = scaleParts
	}
	for _, p := range all {
		if !s.wants(p.name) {
			continue
		}
		if err := p.run(s, ctx); err != nil {
			fmt.Print(s.text()) // what was measured before
			return err
		}
	}
	if err := crowds.report(ctx, s); err != nil {
		return err
	}
	return s.report()
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

// stop ends the servers that were started here.
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
	extra := extraRounds
	if time.Since(s.begun) > patience {
		extra = 0
	}
	return contest{name: name, servers: servers, rounds: s.rounds, extra: extra, load: do}.run(ctx, &s.seed)
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
// In microseconds a unit of work, and in milliseconds.
func cpuOf(r result) spread  { return r.cpu }
func p50Of(r result) spread  { return r.p50 }
func p99Of(r result) spread  { return r.p99 }
func mostOf(r result) spread { return r.most }
