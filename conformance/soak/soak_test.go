// Package soak runs gateways for a long while under a load that is the same all the time, and looks whether they take more and
// more of anything. It is started by scripts/soak.sh (make soak), and skipped by other test runs.
//
//	soak_test.go   the run, and its verdict
//	load_test.go   the clients
//	measure_test.go what is looked at, each few seconds
//	report_test.go the table and the drawing
package soak

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"composer-api/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// The variables of scripts/soak.sh.
const (
	minutesVariable = "COMPOSER_TEST_SOAK_MINUTES"
	resultsVariable = "COMPOSER_TEST_SOAK_RESULTS" // a folder; nothing is written without one
)

// parkTimeout is how long abandoned runs wait: short, so that as many end as begin for most of the time.
const parkTimeout = 30 * time.Second

// sampleEvery is how often everything is measured.
const sampleEvery = 5 * time.Second

func TestNothingGrows(t *testing.T) {
	minutes, err := strconv.ParseFloat(os.Getenv(minutesVariable), 64)
	if err != nil || minutes <= 0 || minutes > 120 {
		t.Skip("a soak takes 20 minutes; hint: make soak")
	}
	sim := harness.StartSim(t, "--seed=1")
	variables := []string{
		"ENCRYPTION_KEY=correct horse battery staple", "COMPOSER_METRICS_ADDR=127.0.0.1:0", "COMPOSER_LOG=error",
		"COMPOSER_PARK_TIMEOUT=" + parkTimeout.String(),
	}
	o := &observed{t: t}
	if os.Getenv("COMPOSER_TEST_POSTGRES") != "" {
		database := harness.NewPostgres(t)
		variables = append(variables, "COMPOSER_DB="+database, "COMPOSER_REPLICA_SECRET=correct horse battery staple")
		o.databaseSize = func() float64 { return postgresSize(t, database) }
		o.setup = "two replicas on PostgreSQL"
		for range 2 {
			o.gateways = append(o.gateways, harness.StartReplica(t, sim, variables, "--replica-addr=127.0.0.1:0"))
		}
	} else {
		folder := t.TempDir()
		o.databaseSize = func() float64 { return folderSize(t, folder) }
		o.setup = "one server on SQLite"
		o.gateways = append(o.gateways, harness.StartReplica(t, sim, append(variables, "COMPOSER_DB="+filepath.Join(folder, "composer.db"))))
	}

	ctx, stop := context.WithTimeout(t.Context(), time.Duration(minutes*float64(time.Minute)))
	defer stop()
	l := newLoad(o.gateways)
	begun := time.Now()
	ended := l.run(ctx)
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		o.sample(time.Since(begun))
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	<-ended

	rows := o.compare()
	for _, r := range rows {
		if r.grew {
			t.Errorf("%s grows: the median is %s in the middle third and %s in the last, more than %s above it", r.name, r.text(r.middle), r.text(r.last), r.margin)
		}
	}
	for kind, n := range l.failures() {
		t.Errorf("%d of %s: %s", n.times, kind, n.first)
	}
	if folder := os.Getenv(resultsVariable); folder != "" {
		if err := o.write(folder, minutes, rows, l.counts()); err != nil {
			t.Error(err)
		}
	}
	fmt.Println(table(rows))
}
