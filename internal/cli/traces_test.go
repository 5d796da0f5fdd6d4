package cli_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// TestVariablesOfOpenTelemetryAreFollowed: also those that do not come from the process's environment, which is all that the
// SDK reads. The demo sends nothing.
func TestVariablesOfOpenTelemetryAreFollowed(t *testing.T) {
	for _, test := range []struct {
		args   []string
		traced bool
	}{{nil, true}, {[]string{"--demo"}, false}} {
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "") // what serve sets is taken back at the end
		var sent atomic.Int64
		collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if r.Method+" "+r.URL.Path == "POST /v1/traces" {
				sent.Add(1)
			}
		}))
		s := serve(t, []string{"COMPOSER_LOG=info", "OTEL_EXPORTER_OTLP_ENDPOINT=" + collector.URL}, test.args...)
		get(t, s.url+"/v1/models")
		s.stop()
		<-s.exit
		s.exit = nil
		collector.Close()
		if traced := sent.Load() > 0; traced != test.traced {
			t.Errorf("%v: %d batches of spans were sent", test.args, sent.Load())
		}
		if traced := strings.Contains(s.rest.String(), " trace_id="); traced != test.traced {
			t.Errorf("%v: the log is\n%s", test.args, s.rest)
		}
	}
}
