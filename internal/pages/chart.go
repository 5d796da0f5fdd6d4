package pages

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Charts without a script: the template draws them as SVG from numbers that are computed here.

// A chart is a row of stacked bars, drawn on the server. Its colours come from the style sheet, and everything that it
// shows stands in a table on the same page: it is a picture with a sentence for those who don't see it.
//
// It is filled by add, in the order of time, and only read afterwards.
//
// A template calls Summary, Segments, High, Half and Ends, in any order. The functions have no side
// effects.
type chart struct {
	Title string
	// The names of the series; also how many there are.
	Series []string
	Bars   []bar

	// unit stands behind each number; format writes the number itself.
	unit   string
	format func(float64) string
	high   float64 // of the highest bar
	sum    float64
}

// A bar is a time. There is a value for each series, in their order.
type bar struct {
	// Name is the time in words, for the table and for a pointer.
	Name   string
	values []float64
}

// A segment is a part of a bar, in the units of the picture.
//
// X and Y are the corner at the upper left; Series chooses the colour.
type segment struct {
	X, Y, Width, Height float64
	Series              int
	Label               string // what a pointer sees
}

// The picture's size, and where its axis is.
const (
	// In the units of the SVG's viewBox, which the style sheet scales to the page's width. Left of
	// chartLeft stand the labels of the axis, below the bars those of the time.
	chartWidth, chartHeight = 640.0, 150.0
	chartLeft, chartBottom  = 64.0, 20.0
	chartTop                = 8.0
)

// newChart makes an empty chart. unit is a word for people, "" for values that make no sum, and format writes a value with its
// sign or its shortened digits.
//
// Each value that add gets later belongs to the series at its place.
func newChart(title, unit string, format func(float64) string, series ...string) *chart {
	return &chart{Title: title, Series: series, unit: unit, format: format}
}

// add adds a bar at the right end: one value for each series.
//
// There have to be as many values as series. They may be 0 and never negative.
func (c *chart) add(name string, values ...float64) {
	total := 0.0
	for _, v := range values {
		total += v
	}
	c.high, c.sum = max(c.high, total), c.sum+total
	c.Bars = append(c.Bars, bar{name, values})
}

// Summary is the chart in a sentence.
func (c *chart) Summary() string {
	if c.sum == 0 {
		return strings.Join(strings.Fields("No "+c.unit+" in this time."), " ")
	}
	highest := 0
	for i := range c.Bars {
		if c.Bars[i].total() > c.Bars[highest].total() {
			highest = i
		}
	}
	if c.unit == "" {
		return fmt.Sprintf("Most at %s: %s.", c.Bars[highest].Name, c.format(c.high))
	}
	return fmt.Sprintf("%s %s in all, most at %s: %s.", c.format(c.sum), c.unit, c.Bars[highest].Name, c.format(c.high))
}

// total is the height of the whole bar.
func (b *bar) total() (sum float64) {
	for _, v := range b.values {
		sum += v
	}
	return sum
}

// top is the value at the upper end of the axis: a round number at or above the highest bar.
//
//	highest   0   0.7   3   12   40   99   101
//	top       1   1     5   20   50   100  200
func (c *chart) top() float64 {
	if c.high == 0 {
		return 1
	}
	// The power of ten at or below the highest bar.
	size := math.Pow(10, math.Floor(math.Log10(c.high)))
	for _, step := range []float64{1, 2, 5} {
		if c.high <= step*size {
			return step * size
		}
	}
	return 10 * size
}

// High and Half label the axis.
func (c *chart) High() string { return c.format(c.top()) }

// Half is the label in the middle of the axis.
func (c *chart) Half() string { return c.format(c.top() / 2) }

// Ends are the names of the first and the last bar.
func (c *chart) Ends() [2]string {
	if len(c.Bars) == 0 {
		return [2]string{}
	}
	return [2]string{c.Bars[0].Name, c.Bars[len(c.Bars)-1].Name}
}

// Segments are what is drawn. A value of 0 has none. The first series is at the bottom.
func (c *chart) Segments() []segment {
	var all []segment
	// Each bar has a slot of the same width and fills three quarters of it, 28 units at most, so
	// that a chart of one bar is no wall.
	slot := (chartWidth - chartLeft) / float64(max(len(c.Bars), 1))
	scale := (chartHeight - chartBottom - chartTop) / c.top()
	for i, b := range c.Bars {
		// SVG counts from the top, so bars are stacked by going down in y.
		y := chartHeight - chartBottom
		for series, v := range b.values {
			if v <= 0 {
				continue
			}
			height := max(v*scale, .75) // so that the smallest can be seen
			y -= height
			all = append(all, segment{
				X: round(chartLeft + float64(i)*slot + slot*.12), Y: round(y), Width: round(min(slot*.76, 28)), Height: round(height), Series: series,
				Label: fmt.Sprintf("%s: %s %s", b.Name, c.format(v), c.Series[series]),
			})
		}
	}
	return all
}

// round keeps two digits: more would only make the page longer.
func round(v float64) float64 { return math.Round(v*100) / 100 }

// count writes a number of things.
//
//	950     950
//	9,999   9999
//	12,345  12.3 k
//	2e6     2 M
func count(v float64) string {
	switch {
	case v >= 1e9:
		return short(v/1e9) + " G"
	case v >= 1e6:
		return short(v/1e6) + " M"
	case v >= 1e4:
		return short(v/1e3) + " k"
	}
	return short(v)
}

// short writes a number with one digit behind the point, or none.
func short(v float64) string { return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0") }

// inSeconds writes a time that is given in seconds.
func inSeconds(v float64) string { return short(v) + " s" }

// dollars writes an amount, with the digits that small amounts need.
func dollars(v float64) string {
	switch {
	case v == 0:
		return "$0"
	case v < .01:
		// Two digits that mean something, as far as it makes sense.
		return "$" + strconv.FormatFloat(v, 'f', min(int(math.Ceil(-math.Log10(v)))+1, 8), 64)
	}
	return fmt.Sprintf("$%.2f", v)
}
