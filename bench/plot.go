package main

import (
	"cmp"
	"fmt"
	"html"
	"math"
	"os"
	"slices"
	"strings"
)

// A plot is a drawing of lines, one for each server, with a logarithmic x axis. It is written as SVG.
type plot struct {
	// x and y say what the axes are, with their units.
	title, x, y string
	lines       []line
}

// A line is one server's points, in the order of x.
type line struct {
	name   string
	points []point
}

// A point is a figure, in the units of its axes.
type point struct{ x, y float64 }

// The plot's measures, in SVG's units, and the lines' colours, which people with any kind of colour vision can tell apart.
const (
	plotWidth, plotHeight    = 720, 420
	left, right, top, bottom = 70, 170, 40, 50
)

// colours are those of Okabe and Ito.
var colours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"}

// add adds a point to the line of that name, if the figure is there.
func (p *plot) add(name string, x float64, figures map[string]spread) {
	s, ok := figures[name]
	if !ok {
		return
	}
	i := slices.IndexFunc(p.lines, func(l line) bool { return l.name == name })
	if i < 0 {
		i = len(p.lines)
		p.lines = append(p.lines, line{name: name})
	}
	p.lines[i].points = append(p.lines[i].points, point{x, s.median})
}

// write writes the drawing to a file.
func (p *plot) write(file string) error {
	var all []point
	for _, l := range p.lines {
		all = append(all, l.points...)
	}
	if len(all) == 0 {
		return nil
	}
	byX := func(a, b point) int { return cmp.Compare(a.x, b.x) }
	// x is logarithmic, because the numbers of streams and bytes double. y begins at 0, so that heights can be compared.
	low, high := math.Log(slices.MinFunc(all, byX).x), math.Log(slices.MaxFunc(all, byX).x)
	most := 1.1 * slices.MaxFunc(all, func(a, b point) int { return cmp.Compare(a.y, b.y) }).y
	atX := func(x float64) float64 {
		return left + (math.Log(x)-low)/max(high-low, 1e-9)*(plotWidth-left-right)
	}
	atY := func(y float64) float64 { return plotHeight - bottom - y/most*(plotHeight-top-bottom) }

	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n", plotWidth, plotHeight)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/><text x="%d" y="22" font-size="15">%s</text>`+"\n", left, html.EscapeString(p.title))
	fmt.Fprintf(&b, `<text x="%d" y="%d">%s</text><text x="8" y="%d">%s</text>`+"\n", (plotWidth-right)/2, plotHeight-10, html.EscapeString(p.x), top-6, html.EscapeString(p.y))
	// Five steps on the y axis, each with a line across.
	for i := range 6 {
		y := most * float64(i) / 5
		fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", left, atY(y), plotWidth-right, left-6, atY(y)+4, number(y))
	}
	for i, l := range p.lines {
		colour := colours[i%len(colours)]
		var path []string
		for _, at := range l.points {
			path = append(path, fmt.Sprintf("%.1f,%.1f", atX(at.x), atY(at.y)))
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`, atX(at.x), atY(at.y), colour)
			// All lines have the same x, so the first one's points label the axis.
			if i == 0 {
				fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`, atX(at.x), plotHeight-bottom+18, number(at.x))
			}
		}
		fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(path, " "), colour)
		fmt.Fprintf(&b, `<text x="%d" y="%d" fill="%s">%s</text>`+"\n", plotWidth-right+12, top+18*i+10, colour, html.EscapeString(l.name))
	}
	b.WriteString("</svg>\n")
	return os.WriteFile(file, []byte(b.String()), 0o644)
}
