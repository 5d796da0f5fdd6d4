package soak

import (
	"bufio"
	"io/fs"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"composer-api/conformance/harness"
)

// A measure is one thing that must not grow. Its value is the sum over all gateways.
type measure struct {
	name, unit string
	metric     string  // of /metrics; "" for what is no gateway's
	scale      float64 // what one unit is, in that of the metric
	// The median of the last third may be this much above that of the middle third: a share of it, and that many units.
	share, units float64
}

// measures says what is looked at. The shares are generous for memory: under one load it swings by a third, between two ends of
// the collector's pace, for minutes. What leaks at all leaks with each of 20,000 requests.
var measures = []measure{
	{"memory", "MB", "process_resident_memory_bytes", 1e6, 0.30, 8},
	{"heap in use", "MB", "go_memstats_heap_inuse_bytes", 1e6, 0.25, 8},
	{"descriptors", "", "process_open_fds", 1, 0.10, 10},
	{"goroutines", "", "go_goroutines", 1, 0.10, 20},
	{"database", "MB", "", 1e6, 0.05, 1},
	{"parked runs", "", "composer_parked_runs", 1, 0.15, 10},
	{"turns in progress", "", "composer_turns_in_progress", 1, 0.15, 10},
}

// observed are the gateways, and what was measured of them.
type observed struct {
	t            *testing.T
	gateways     []*harness.Gateway
	setup        string
	databaseSize func() float64 // in bytes

	times   []time.Duration
	samples [][]float64 // by measure, in its units
}

var metricsLine = regexp.MustCompile(`http://\S+/metrics`)

// sample measures everything once.
func (o *observed) sample(at time.Duration) {
	o.t.Helper()
	sums := map[string]float64{}
	for _, g := range o.gateways {
		for name, value := range scrape(o.t, metricsLine.FindString(g.Output())) {
			sums[name] += value
		}
	}
	o.times = append(o.times, at)
	o.samples = slices.Grow(o.samples, len(measures))[:len(measures)]
	for i, m := range measures {
		value := sums[m.metric]
		if m.metric == "" {
			value = o.databaseSize()
		}
		o.samples[i] = append(o.samples[i], value/m.scale)
	}
}

// scrape reads the metrics that have no labels.
func scrape(t *testing.T, address string) map[string]float64 {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	found := map[string]float64{}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if v, err := strconv.ParseFloat(value, 64); err == nil && !strings.Contains(name, "{") {
			found[name] = v
		}
	}
	if lines.Err() != nil || found["go_goroutines"] == 0 {
		t.Fatal("the metrics can't be read: ", lines.Err())
	}
	return found
}

func postgresSize(t *testing.T, database string) float64 {
	t.Helper()
	size, err := strconv.ParseFloat(harness.SQL(t, database, "SELECT pg_database_size(current_database())"), 64)
	if err != nil {
		t.Fatal(err)
	}
	return size
}

// folderSize is the database with its log.
func folderSize(t *testing.T, folder string) (size float64) {
	t.Helper()
	err := filepath.WalkDir(folder, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += float64(info.Size())
		}
		return nil // a file may go away meanwhile
	})
	if err != nil {
		t.Fatal(err)
	}
	return size
}

// A row is one measure's verdict.
type row struct {
	measure
	first, middle, last, most float64
	margin                    string
	grew                      bool
}

// compare compares the medians of the thirds.
func (o *observed) compare() []row {
	var rows []row
	for i, m := range measures {
		all := o.samples[i]
		third := len(all) / 3
		r := row{
			measure: m, first: median(all[:third]), middle: median(all[third : 2*third]), last: median(all[2*third:]), most: slices.Max(all),
			margin: strconv.Itoa(int(m.share*100)) + " % and " + strings.TrimSpace(strconv.FormatFloat(m.units, 'g', -1, 64)+" "+m.unit),
		}
		r.grew = r.last > r.middle*(1+m.share)+m.units
		rows = append(rows, r)
	}
	return rows
}

func median(of []float64) float64 {
	if len(of) == 0 {
		return 0
	}
	of = slices.Sorted(slices.Values(of))
	return of[len(of)/2]
}
