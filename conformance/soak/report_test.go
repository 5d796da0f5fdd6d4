package soak

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// text is a value with its unit.
func (r *row) text(value float64) string {
	if r.unit == "" {
		return fmt.Sprintf("%.0f", value)
	}
	return fmt.Sprintf("%.1f %s", value, r.unit)
}

// table is the verdict in Markdown.
func table(rows []row) string {
	var b strings.Builder
	b.WriteString("| median of the | first third | middle third | last third | most at any time | the last may be above the middle by | |\n| --- | ---: | ---: | ---: | ---: | --- | --- |\n")
	for _, r := range rows {
		verdict := "flat"
		if r.grew {
			verdict = "**grows**"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", r.name, r.text(r.first), r.text(r.middle), r.text(r.last), r.text(r.most), r.margin, verdict)
	}
	return b.String()
}

// write writes the table and the drawing into a folder.
func (o *observed) write(folder string, minutes float64, rows []row, done map[string]int) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# %g minutes under one load\n\n", minutes)
	fmt.Fprintf(&b, "Written by `make soak`: %s, on a machine with %d processors that others may use, too; %d samples. Values are sums over all servers. The simulator stands in for Cursor.\n\n", o.setup, runtime.NumCPU(), len(o.times))
	b.WriteString(table(rows))
	b.WriteString("\n![What was measured, over time](soak-latest.svg)\n\n| load | clients | done |\n| --- | ---: | ---: |\n")
	for _, k := range kinds {
		fmt.Fprintf(&b, "| %s | %d | %d |\n", k.name, k.clients, done[k.name])
	}
	fmt.Fprintf(&b, "| %s | | %d |\n", again, done[again])
	fmt.Fprintf(&b, "\nA run that nobody comes back for waits %s here. Stored responses are no part of the load: they are meant to stay. A loop begins again when the replica that gets the result can't learn in time who holds its run.\n", parkTimeout)
	if err := os.WriteFile(filepath.Join(folder, "soak-latest.md"), []byte(b.String()), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "soak-latest.svg"), []byte(o.drawing(rows)), 0o644)
}

// The drawing's measures, in SVG's units: a panel for each measure, below each other.
const width, panel, left, right = 720, 110, 70, 20

// drawing is the samples as SVG, with the thirds parted.
func (o *observed) drawing(rows []row) string {
	var b strings.Builder
	end := o.times[len(o.times)-1].Seconds()
	atX := func(seconds float64) float64 { return left + seconds/end*(width-left-right) }
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n", width, panel*len(rows)+30)
	b.WriteString(`<rect width="100%" height="100%" fill="white"/>` + "\n")
	for i, r := range rows {
		top, bottom := float64(i*panel+24), float64((i+1)*panel-10)
		most := max(1.1*slices.Max(o.samples[i]), 1)
		atY := func(value float64) float64 { return bottom - value/most*(bottom-top) }
		fmt.Fprintf(&b, `<text x="%d" y="%.0f">%s</text>`+"\n", left, top-6, strings.TrimSpace(r.name+" "+r.unit))
		for _, value := range []float64{0, most / 2, most} {
			fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%.0f</text>`+"\n", left, atY(value), width-right, left-6, atY(value)+4, value)
		}
		for _, third := range []float64{end / 3, 2 * end / 3} {
			fmt.Fprintf(&b, `<path d="M%.1f %.1fV%.1f" stroke="#bbb" stroke-dasharray="3 3"/>`+"\n", atX(third), top, bottom)
		}
		var points []string
		for j, value := range o.samples[i] {
			points = append(points, fmt.Sprintf("%.1f,%.1f", atX(o.times[j].Seconds()), atY(value)))
		}
		fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="#0072b2" stroke-width="1.5"/>`+"\n", strings.Join(points, " "))
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d">minutes: 0 to %.0f; dashed lines part the thirds</text>`+"\n</svg>\n", left, panel*len(rows)+14, end/60)
	return b.String()
}
