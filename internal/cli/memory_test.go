package cli

import (
	"bytes"
	"errors"
	"log/slog"
	"math"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"composer-api/internal/gateway/pdftext"
)

func TestTheContainersMemoryIsTheLimit(t *testing.T) {
	before := debug.SetMemoryLimit(math.MaxInt64)
	defer debug.SetMemoryLimit(before)
	for name, tt := range map[string]struct {
		from memlimit.Provider
		env  string
		want int64
		log  string
	}{
		"a container of 1 GB": {memlimit.Limit(1000 << 20), "", 800 << 20, "container_mb=1000 heap_mb=800"},
		"the user's limit":    {memlimit.Limit(1000 << 20), "3GiB", math.MaxInt64, "GOMEMLIMIT=3GiB"},
		"no limit":            {func() (uint64, error) { return 0, memlimit.ErrNoLimit }, "", math.MaxInt64, ""},
		"no container":        {func() (uint64, error) { return 0, memlimit.ErrNoCgroup }, "", math.MaxInt64, ""},
		"an unreadable one":   {func() (uint64, error) { return 0, errors.New("permission denied") }, "", math.MaxInt64, ""},
	} {
		t.Run(name, func(t *testing.T) {
			debug.SetMemoryLimit(math.MaxInt64)
			if tt.env != "" {
				t.Setenv("GOMEMLIMIT", tt.env)
			}
			var out bytes.Buffer
			limitMemory(tt.from, slog.New(slog.NewTextHandler(&out, nil)))
			if got := debug.SetMemoryLimit(-1); got != tt.want {
				t.Errorf("limit %d, want %d", got, tt.want)
			}
			if want := int(min(256<<20, tt.want/8)); remembered() != want {
				t.Errorf("%d bytes are remembered, want %d", remembered(), want)
			}
			if !strings.Contains(out.String(), tt.log) || tt.log == "" && out.Len() > 0 {
				t.Errorf("log %q, want %q", out.String(), tt.log)
			}
		})
	}
}

// In a container of 256 MB a small PDF file can be read; in one that is smaller it would end the process.
func TestTheMemoryForPDFFiles(t *testing.T) {
	before := debug.SetMemoryLimit(math.MaxInt64)
	defer debug.SetMemoryLimit(before)
	for limit, want := range map[int64]int64{
		128 << 20: 128 << 20, 205 << 20: pdftext.LeastMemory, 800 << 20: 600 << 20, math.MaxInt64: math.MaxInt64 / 4 * 3,
	} {
		debug.SetMemoryLimit(limit)
		got := pdfMemory()
		if got != want || (got >= pdftext.LeastMemory) != (limit > 128<<20) {
			t.Errorf("of %d MiB: %d, want %d", limit>>20, got, want)
		}
	}
}
