package pages

import (
	"cmp"
	"encoding/csv"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"composer-api/internal/api"
	"composer-api/internal/pages/session"
	"composer-api/internal/store"
)

// The page of usage, and its file: what the hosted keys of an account have asked for and what
// it cost. All numbers are added up from the rows of the request log when the page is asked
// for; nothing is kept beside.
//
//	GET  /usage         the page: a log-in, or charts, tables and the newest turns   showUsage
//	POST /usage         log in with a key                                            enterUsage
//	POST /usage/logout  end the session                                              leave
//	GET  /usage.csv     the same turns for other programs                            usageFile
//	GET  /usage/turns/{id}  one turn in its stages                                   showTurn
//
// The log-in is in usagelogin.go, and showTurn in timeline.go.

// maxRows is how many turns are looked at for a page: the newest.
//
// It bounds the time and memory of a page: a row has some 300 bytes.
const maxRows = 20_000

// shownRows is how many turns the log on the page has. The file has all of them.
const shownRows = 100

// periods are how far back a page may look, in days.
var periods = []int{1, 7, 30, 90}

// A usage is what the page of usage says.
//
// It is made for one request and handed to the template, which reads the fields. Without a
// session only On, Trouble and the period are set.
//
//	rows of the log ── turns ──► those of the key and the period ── sum ──► totals, charts, tables
type usage struct {
	On      bool
	Trouble string
	// In says that somebody is logged in; the rest is theirs.
	In      bool
	KeyID   string // only this key's turns are shown; "" is all of the account
	Periods []int
	Days    int
	Form    string

	Total   tally
	Charts  []*chart
	Models  []tally
	Buckets []tally // newest first
	// By is what a bucket is: "hour" or "day".
	By     string
	Rows   []turnRow
	Cut    bool // the log on the page is not all
	Capped bool // there are older turns in the period that are not counted
}

// A tally adds turns up.
//
// It is ready as the zero value; Median and Slow are there only after finish.
//
// It is used for the whole, for each model and for each hour or day.
type tally struct {
	Name    string // the model, or the time
	Turns   int
	Errors  int
	Input   int64 // tokens, cached ones included
	Cached  int64
	Output  int64
	CostUSD float64
	// Median and Slow (the 95th percentile) are times to the end of a turn that went well.
	Median, Slow time.Duration

	durations []time.Duration
}

// add adds a turn. One that isn't over yet, or whose process died, has the status 0: it counts
// as a turn, and its time doesn't.
//
// A turn that failed counts with the tokens that it took. Its time does not: an error after 20 ms
// would make the median look good.
func (t *tally) add(l *store.RequestLog) {
	t.Turns++
	t.Input += l.InputTokens
	t.Cached += l.CachedTokens
	t.Output += l.OutputTokens
	t.CostUSD += l.CostUSD
	if l.ErrorCode != "" {
		t.Errors++
	} else if l.Status != 0 {
		t.durations = append(t.durations, l.Duration)
	}
}

// finish computes what needs all turns. It is called once, after the last add.
//
//	n         1    2    10   100
//	Median    0    1    5    50      the index into the sorted times
//	Slow      0    1    9    95
func (t *tally) finish() {
	slices.Sort(t.durations)
	if n := len(t.durations); n > 0 {
		t.Median, t.Slow = t.durations[n/2], t.durations[min(n*95/100, n-1)]
	}
}

// Share is the part of the prompts' tokens that came from the cache, in percent.
//
// By value, because a template calls it on elements of a slice.
func (t tally) Share() int64 {
	if t.Input == 0 {
		return 0
	}
	return t.Cached * 100 / t.Input
}

// showUsage answers GET /usage.
func (s *Site) showUsage(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
	return s.usagePage(w, r, http.StatusOK, "")
}

// usagePage answers with the page. trouble is why a log-in has failed; "" when none was tried.
func (s *Site) usagePage(w http.ResponseWriter, r *http.Request, status int, trouble string) error {
	data := &usage{On: s.cfg.HostedKeys, Trouble: trouble, Periods: periods, Days: days(r)}
	who, err := s.loggedIn(r, accountCookie)
	if err != nil {
		return err
	}
	if who != nil {
		if err := s.stillGood(r, who); err != nil {
			return err
		}
		rows, capped, err := s.turns(r, who, data.Days)
		if err != nil {
			return err
		}
		data.In, data.KeyID, data.Form, data.Capped = true, who.KeyID, who.Form, capped
		data.sum(rows, s.cfg.Now())
	}
	w.Header().Set("Cache-Control", "no-store")
	return s.render(w, r, status, "usage", data)
}

// Stages are the names of a turn's stages, for the legend of the bars.
func (u *usage) Stages() []string {
	names := make([]string, len(stages))
	for i, s := range stages {
		names[i] = s.name
	}
	return names
}

// days is the period that is asked for: one of periods. Anything else is 7.
func days(r *http.Request) int {
	n, err := strconv.Atoi(r.URL.Query().Get("days"))
	if err != nil || !slices.Contains(periods, n) {
		return 7
	}
	return n
}

// turns are the turns of a session's account or key in the last days, newest first.
//
// capped says that there may be older turns in the period than were looked at.
//
// The store is asked for the newest rows of the account, and the period is cut out here: the log's
// index is by account and time.
func (s *Site) turns(r *http.Request, who *session.Session, days int) (rows []store.RequestLog, capped bool, err error) {
	all, err := s.cfg.Store.ListRequests(r.Context(), store.RequestQuery{Account: accountOf(who), KeyID: who.KeyID, Limit: maxRows})
	if err != nil {
		return nil, false, session.Away(err)
	}
	since := s.cfg.Now().Add(-time.Duration(days) * 24 * time.Hour)
	for _, l := range all {
		// Newest first, so everything from here on is older.
		if l.Created.Before(since) {
			return rows, false, nil
		}
		rows = append(rows, l)
	}
	return rows, len(all) == maxRows, nil
}

// sum fills in what the page shows of turns, newest first.
//
// Days and hours are those of UTC. A bucket without a turn is in the charts, so that time runs
// evenly, and not in the table.
//
// One pass over the rows; the maps are bounded by the models and by 91 days or 25 hours.
func (u *usage) sum(rows []store.RequestLog, now time.Time) {
	u.By = "day"
	step, layout, label := 24*time.Hour, time.DateOnly, "02 Jan"
	if u.Days == 1 {
		// layout names a bucket, and label is what stands below its bar.
		u.By, step, layout, label = "hour", time.Hour, "2006-01-02 15:00", "15:00"
	}
	models, buckets := map[string]*tally{}, map[string]*tally{}
	tallyOf := func(in map[string]*tally, name string) *tally {
		if in[name] == nil {
			in[name] = &tally{Name: name}
		}
		return in[name]
	}
	for i := range rows {
		l := &rows[i]
		u.Total.add(l)
		tallyOf(models, cmp.Or(l.Model, "none: the request was refused")).add(l)
		tallyOf(buckets, l.Created.UTC().Format(layout)).add(l)
	}
	u.Total.finish()
	for _, t := range models {
		t.finish()
		u.Models = append(u.Models, *t)
	}
	// The most used first, and then by name, so that two loads of the page look the same.
	slices.SortFunc(u.Models, func(a, b tally) int { return cmp.Or(cmp.Compare(b.Turns, a.Turns), cmp.Compare(a.Name, b.Name)) })

	turns := newChart("Turns", "turns", count, "went well", "failed")
	tokens := newChart("Tokens", "tokens", count, "prompt", "from the cache", "answer")
	cost := newChart("Dollars", "US dollars", dollars, "cost")
	times := newChart("Time to the end", "", inSeconds, "half of the turns within", "95 of 100 within")
	// The first bar is the one in which the period begins, so it is not whole, as the last one
	// isn't.
	first := now.UTC().Add(-time.Duration(u.Days) * 24 * time.Hour).Truncate(step)
	for at := first; !at.After(now.UTC()); at = at.Add(step) {
		t := buckets[at.Format(layout)]
		if t == nil {
			t = &tally{}
		} else {
			t.finish()
			u.Buckets = append(u.Buckets, *t)
		}
		name := at.Format(label)
		turns.add(name, float64(t.Turns-t.Errors), float64(t.Errors))
		// Input counts cached tokens, too; the bar shows them apart.
		tokens.add(name, float64(t.Input-t.Cached), float64(t.Cached), float64(t.Output))
		cost.add(name, t.CostUSD)
		times.add(name, t.Median.Seconds(), (t.Slow - t.Median).Seconds())
	}
	slices.Reverse(u.Buckets)
	u.Charts = []*chart{turns, tokens, cost, times}
	for i := range rows[:min(len(rows), shownRows)] {
		u.Rows = append(u.Rows, turnRow{rows[i], newTimeline(&rows[i])})
	}
	u.Cut = len(rows) > shownRows
}

// usageFile answers GET /usage.csv: the same turns as a table for other programs. It is written
// as it goes; the rows are in memory already.
//
// It has its session from the same cookie as the page; a program that wants the file sends the
// cookie.
func (s *Site) usageFile(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
	who, err := s.mayLook(r)
	if err != nil {
		return err
	}
	rows, _, err := s.turns(r, who, days(r))
	if err != nil {
		return err
	}
	h := w.Header()
	secure(h)
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="usage.csv"`)
	h.Set("Cache-Control", "no-store")
	out := csv.NewWriter(w)
	out.Write([]string{"time", "key", "endpoint", "model", "status", "error", "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "cost_usd", "estimated", "seconds", "request_id"})
	for _, l := range rows {
		out.Write([]string{
			l.Created.UTC().Format(time.RFC3339), l.KeyID, cell(l.Endpoint), cell(l.Model), strconv.Itoa(l.Status), l.ErrorCode,
			strconv.FormatInt(l.InputTokens, 10), strconv.FormatInt(l.CachedTokens, 10), strconv.FormatInt(l.OutputTokens, 10), strconv.FormatInt(l.ReasoningTokens, 10),
			strconv.FormatFloat(l.CostUSD, 'f', -1, 64), strconv.FormatBool(l.Estimated), strconv.FormatFloat(l.Duration.Seconds(), 'f', 3, 64), cell(l.RequestID),
		})
	}
	out.Flush()
	return out.Error()
}

// cell is text that a spreadsheet does not take for a formula: a client may have chosen it.
//
// Spreadsheets run what begins with one of these characters, and the quote makes it text.
func cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
