package pages

import (
	"fmt"
	"testing"
	"time"
)

func TestAChartIsDrawnAndSaidInASentence(t *testing.T) {
	c := newChart("Turns", "turns", count, "went well", "failed")
	c.add("29 Nov", 0, 0)
	c.add("30 Nov", 3, 1)
	if got := c.Summary(); got != "4 turns in all, most at 30 Nov: 4." {
		t.Error(got)
	}
	segments := c.Segments()
	if len(segments) != 2 || c.High() != "5" || c.Half() != "2.5" || c.Ends() != [2]string{"29 Nov", "30 Nov"} {
		t.Fatalf("%+v %s %s %v", segments, c.High(), c.Half(), c.Ends())
	}
	// The bar stands on the axis, its parts on each other, and nothing leaves the picture.
	below, above := segments[0], segments[1]
	if below.Y+below.Height != chartHeight-chartBottom || above.Y+above.Height != below.Y || above.Y < chartTop || below.X+below.Width > chartWidth || above.Label != "30 Nov: 1 failed" {
		t.Errorf("%+v", segments)
	}
	empty := newChart("Dollars", "US dollars", dollars, "cost")
	if got := empty.Summary(); got != "No US dollars in this time." || len(empty.Segments()) != 0 || empty.Ends() != [2]string{} {
		t.Error(got)
	}
}

func TestNumbersAreWrittenForPeople(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 7: "7", 9999: "9999", 12345: "12.3 k", 2e6: "2 M", 3.25e9: "3.2 G"} {
		if got := count(v); got != want {
			t.Errorf("%g: %s, want %s", v, got, want)
		}
	}
	for v, want := range map[float64]string{0: "$0", .00123: "$0.0012", .0000335: "$0.000034", 1e-12: "$0.00000000", .125: "$0.12", 17: "$17.00"} {
		if got := dollars(v); got != want {
			t.Errorf("%g: %s, want %s", v, got, want)
		}
	}
	if got := fmt.Sprint(took(40*time.Millisecond), ", ", took(1500*time.Millisecond)); got != "40 ms, 1.5 s" {
		t.Error(got)
	}
}
