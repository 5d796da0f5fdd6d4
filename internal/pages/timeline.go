package pages

import (
	"net/http"
	"strings"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/pages/session"
	"composer-api/internal/store"
)

// A turn's way through the server, from the request log: as a bar in the table of /usage, and on a page of its own.
//
//	header came   turn begins   upstream accepts   first piece     end
//	     ├── queue ──┼─── connect ────┼──── wait ──────┼── answer ──┤
//
// A turn that goes on with a parked run has waited for tool results before all this: that is said beside the bar, because it
// may be a thousand times as long.

// A timeline is what is drawn of a turn.
type timeline struct {
	Steps []step // those that took time, in order; empty while the turn is under way
	Total time.Duration
}

// A step is a stage of a turn. X and Width are its place on a bar that is barWidth wide.
type step struct {
	Stage       int // an index of stages
	From, Took  time.Duration
	X, Width    float64
	Name, Means string
}

// barWidth is how wide a bar is, in units of its picture.
const barWidth = 160.0

// stages are what a turn goes through. Each has a colour in the style sheet, by its number.
var stages = []struct{ name, means string }{
	{"queue", "the body was read, the key and the limits were checked"},
	{"connect", "upstream was reached and accepted the run"},
	{"wait", "the model has not said anything yet"},
	{"answer", "from the first piece of the answer to its end"},
}

// newTimeline parts a turn at the stages that it has reached. What a failed turn was doing when it failed is its last step.
func newTimeline(l *store.RequestLog) timeline {
	t := timeline{Total: l.Timeline.Queue + l.Duration}
	// A status of 0 is a turn that is under way, or whose process has died.
	if l.Status == 0 || t.Total <= 0 {
		return timeline{}
	}
	// When each stage ends, counted from the header. A stage that was not reached ends with the turn, and so do those after it.
	ends := []time.Duration{l.Timeline.Queue, t.Total, t.Total, t.Total}
	if first := l.Timeline.FirstToken; first > 0 {
		ends[1], ends[2] = l.Timeline.Queue+first, l.Timeline.Queue+first
	}
	// Connect is counted from the turn's beginning, and the bar from the header.
	if l.Timeline.Connect > 0 {
		ends[1] = l.Timeline.Queue + l.Timeline.Connect
	}
	var from time.Duration
	for i, end := range ends {
		// So no stage ends before it begins, and none after the turn.
		end = min(max(end, from), t.Total) // clocks are read at slightly different moments
		if end > from {
			t.Steps = append(t.Steps, step{
				Stage: i, Name: stages[i].name, Means: stages[i].means, From: from, Took: end - from,
				X: round(float64(from) / float64(t.Total) * barWidth), Width: round(float64(end-from) / float64(t.Total) * barWidth),
			})
		}
		from = end
	}
	return t
}

// Sentence is the timeline for those who don't see the bar.
func (t timeline) Sentence() string {
	if len(t.Steps) == 0 {
		return "under way"
	}
	parts := make([]string, len(t.Steps))
	for i, s := range t.Steps {
		parts[i] = s.Name + " " + took(s.Took)
	}
	return strings.Join(parts, ", ")
}

// A turnRow is a line of the log on the page of usage.
type turnRow struct {
	store.RequestLog
	Timeline timeline
}

// A turnPage is what the page of one turn says.
type turnPage struct {
	store.RequestLog
	Bar timeline
	// Resumed and Repaired say in words what the log has as a name.
	Resumed  string
	Repaired []string
}

// resumed says what a turn went on from: agent.Resume in words.
var resumed = map[string]string{
	string(agent.ResumeNew):        "a new conversation",
	string(agent.ResumeParked):     "the run that had waited for these tool results",
	string(agent.ResumeMemory):     "a conversation that upstream still knew",
	string(agent.ResumeTranscript): "the transcript that the client sent",
}

// repaired says why the model was given another attempt: agent.Repair in words.
var repaired = map[string]string{
	string(agent.RepairToolChoice): "it had not called the tool that it must call",
	string(agent.RepairJSON):       "its answer was not the JSON that was asked for",
	string(agent.RepairArguments):  "its arguments did not fit the tool's schema",
}

// showTurn answers GET /usage/turns/{id}: a turn of whoever is logged in.
func (s *Site) showTurn(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
	who, err := s.mayLook(r)
	if err != nil {
		return err
	}
	rows, err := s.cfg.Store.ListRequests(r.Context(), store.RequestQuery{Account: accountOf(who), KeyID: who.KeyID, ID: r.PathValue("id"), Limit: 1})
	switch {
	case err != nil:
		return session.Away(err)
	// What is another account's is not found, as what never was.
	case len(rows) == 0:
		return agent.Errorf(agent.NotFound, "There is no such turn. The log keeps turns for 90 days.")
	}
	l := &rows[0]
	data := &turnPage{RequestLog: *l, Bar: newTimeline(l), Resumed: resumed[l.Timeline.Resume]}
	for why := range strings.FieldsSeq(l.Timeline.Repairs) {
		data.Repaired = append(data.Repaired, repaired[why])
	}
	// The page is its reader's alone.
	w.Header().Set("Cache-Control", "no-store")
	return s.render(w, r, http.StatusOK, "turn", data)
}
