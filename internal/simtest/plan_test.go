package simtest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/tools/txtar"
)

// A plan is everything that a seed decides. It is data, so that it can be written down, shrunk and played again.
type plan struct {
	Upstream   string // localagent, chat or sdkbridge
	Replicas   int
	Carries    bool          `json:",omitempty"` // replicas have a way to each other
	Misbehaves uint64        `json:",omitempty"` // cursorsim's own seed; 0 is calm
	Tight      bool          `json:",omitempty"` // a gateway has hardly any memory for runs that wait and for conversations
	Latency    time.Duration // of the quickest connection, one way
	Published  bool          `json:",omitempty"` // documents are checked against the published ones, which takes time
	People     []*person
	Operations []*operation `json:",omitempty"`
}

// A person is a user of the gateway with a client of a kind.
type person struct {
	Name     string
	Speaks   string // begins the names of the tasks; two who speak alike send equal texts
	Key      int    // number of the Cursor key
	Surface  string // chat, responses or messages
	Stream   bool   `json:",omitempty"`
	Stateful bool   `json:",omitempty"` // responses: goes on with previous_response_id
	Converse bool   `json:",omitempty"` // responses: goes on with a conversation of the API's
	Wanders  bool   `json:",omitempty"` // each request goes to the next replica
	Hosted   bool   `json:",omitempty"` // has an account here, and sends the key of that
	Socket   bool   `json:",omitempty"` // responses: over a WebSocket, as long as that API is used
	Briefed  bool   `json:",omitempty"` // begins as others of the same parent do, with equal messages
	Patience int    // how often a failed request is sent again at once
	Echo     string `json:",omitempty"` // how answers are sent back: one of echoes
	Exchange *fault `json:",omitempty"` // what goes wrong when the key is exchanged: one of exchangeFaults, before the exchange number Word
	Start    time.Duration
	Tasks    []*task
}

// A task is one message of a person, and what the model does about it.
type task struct {
	Before string `json:",omitempty"` // what the person does to the conversation first: one of changes
	Ask    string `json:",omitempty"` // what is asked of the answer: one of asks
	Strays bool   `json:",omitempty"` // the model does not do so before it is told once more
	Titled bool   `json:",omitempty"` // a title is asked for beside it
	Stages []*stage
}

// A stage is one step of the model: words, and calls but for the last.
type stage struct {
	Think, Words, Calls int
	Gap                 time.Duration // between words
	Announced           bool          `json:",omitempty"` // the calls are
	Apart               time.Duration `json:",omitempty"` // between calls
	Fault               *fault        `json:",omitempty"`
	Answer              string        `json:",omitempty"` // what the person does with the calls: one of answers
	Leave               string        `json:",omitempty"` // when the client leaves the first time: one of leaves
}

// A fault is what goes wrong upstream in a stage.
type fault struct {
	Kind  string // one of faults
	Word  int    // before which word
	Times int    // how many runs meet it
}

// The tables from which plans are made. A new row is a new situation.
var (
	// answers are what people do with calls; "" answers all in order. Besides those that every seed draws from there is edited,
	// which changes what was said before while the calls are out.
	answers = []string{"", "", "", "reordered", "partial", "twice", "late", "very late", "never", "error", "renamed", "reshaped", "interrupted", "surface", "key", "tools", "model"}
	// changes are what people do to their conversation before a task.
	//
	// Besides those that every seed draws from there is fork, which goes on from an older response by its id.
	changes = []string{"", "", "", "aside", "edit", "compact", "rewind", "branch", "surface", "key", "tools", "model"}
	// asks are what a request asks of its answer.
	//
	// Besides those that every seed draws from there is stop, which ends an answer at a word (see stopWord).
	asks = []string{"", "", "", "", "background", "follow", "cancel", "required", "schema", "title"}
	// leaves are when clients leave. A client that has left sends the same request again, or gives the task up.
	leaves = []string{"mid", "last", "at once", "mid and give up"}
	// echoes are how an answer is sent back.
	echoes = []string{"", "", "thinking", "one message"}
	// faults are what goes wrong upstream.
	faults = []string{"cut", "cut", "drop", "unavailable", "limited", "unauthenticated", "status 503", "status 429", "status 401", "hold", "stall", "garbage", "checkpoint cut", "checkpoint drop", "refused"}
	// exchangeFaults are what goes wrong when a key is exchanged for a token. Each passes in a moment, so nobody may notice.
	exchangeFaults = []string{"status 500", "status 503", "reset", "silent"}
	// surfaces are the public APIs.
	surfaces = []string{"chat", "responses", "messages"}
)

// newPlan makes the plan of a seed.
func newPlan(seed uint64) *plan {
	r := rand.New(rand.NewPCG(seed, 0x51))
	p := &plan{Upstream: pick(r, []string{"localagent", "localagent", "localagent", "chat", "sdkbridge"}), Replicas: 1, Latency: time.Duration(1+r.IntN(40)) * 777 * time.Microsecond}
	p.Published = r.IntN(10) == 0
	if r.IntN(3) == 0 {
		p.Replicas = 2
	}
	if r.IntN(3) == 0 && p.Upstream != "sdkbridge" {
		p.Misbehaves = 1 + r.Uint64N(1_000_000)
	}
	for i := range 1 + r.IntN(4) {
		p.People = append(p.People, newPerson(r, i, p))
	}
	if p.Upstream == "chat" {
		p.withoutDrops()
	}
	if r.IntN(4) == 0 { // a twin: equal texts, another owner
		first := p.People[0]
		twin := *first
		twin.Name, twin.Key, twin.Start = "twin", 90, first.Start+time.Duration(r.IntN(3))*333*time.Millisecond+1234*time.Microsecond
		p.People = append(p.People, &twin)
	}
	if r.IntN(5) < 2 {
		for i := range 1 + r.IntN(2) {
			o := newOperation(r, p)
			o.At += time.Duration(i) * 7 * time.Microsecond // never two at once
			p.Operations = append(p.Operations, o)
		}
	}
	p.more(rand.New(rand.NewPCG(seed, 0x52)))
	p.later(rand.New(rand.NewPCG(seed, 0x53)))
	p.carry(rand.New(rand.NewPCG(seed, 0x54)))
	p.converse(rand.New(rand.NewPCG(seed, 0x55)))
	slices.SortFunc(p.Operations, func(a, b *operation) int { return int(a.At - b.At) })
	p.withOneRotation()
	return p
}

// withOneRotation makes deploys of all rotations of the encryption key but the first: a gateway has two keys, and what the one
// before these has sealed is lost, as every operator is told.
func (p *plan) withOneRotation() {
	rotated := false
	for _, o := range p.Operations {
		if o.Do == "rotate the key" && rotated {
			o.Do = "deploy"
		}
		rotated = rotated || o.Do == "rotate the key"
	}
}

// more adds what came to the plans later, by numbers of its own, so that the seeds of before stay what they were otherwise.
func (p *plan) more(r *rand.Rand) {
	p.Tight = r.IntN(6) == 0
	if first := p.People[0]; r.IntN(6) == 0 {
		first.Briefed = true
		for i := range 1 + r.IntN(2) { // subagents that one parent starts at once
			sub := newPerson(r, i, p)
			sub.Name = fmt.Sprintf("sub%d", i+1)
			sub.Speaks, sub.Key, sub.Hosted, sub.Briefed = sub.Name, first.Key, false, true
			sub.Surface, sub.Stateful, sub.Start = first.Surface, first.Stateful, first.Start+time.Duration(i+1)*457*time.Microsecond
			p.People = append(p.People, sub)
		}
		if p.Upstream == "chat" {
			p.withoutDrops()
		}
	}
	for _, who := range p.People {
		who.Socket = who.Surface == "responses" && who.Stream && r.IntN(3) == 0
		for i, t := range who.Tasks {
			t.Titled = r.IntN(8) == 0
			for _, s := range t.Stages {
				if s.Calls > 0 && s.Answer == "" && r.IntN(6) == 0 {
					s.Answer = "edited"
				}
			}
			if i > 0 && t.Before == "" && who.Stateful && r.IntN(2) == 0 {
				t.Before = "fork"
			}
		}
	}
	if r.IntN(6) == 0 {
		o := newOperation(r, p)
		o.At += 23 * time.Microsecond
		if o.Do = pick(r, laterOperations); p.Upstream == "sdkbridge" {
			o.Do = "half-open clients"
		}
		p.Operations = append(p.Operations, o)
	}
}

// later is more for what came after it.
func (p *plan) later(r *rand.Rand) {
	for _, who := range p.People {
		if p.Upstream != "sdkbridge" && r.IntN(6) == 0 { // Cursor's bridge exchanges keys itself
			who.Exchange = &fault{Kind: pick(r, exchangeFaults), Word: r.IntN(2), Times: 1 + r.IntN(2)}
			if who.Exchange.Kind == "silent" {
				who.Exchange.Times = 1
			}
		}
		for _, t := range who.Tasks {
			if t.Ask == "" && r.IntN(5) == 0 {
				t.Ask = "stop"
			}
		}
	}
	// A response that is cancelled while the model says nothing, and while the store is not there.
	who := pick(r, p.People)
	if at := who.Start + 900*time.Millisecond; r.IntN(6) == 0 && who.Surface == "responses" && !who.Socket {
		t := who.Tasks[0]
		t.Ask, t.Strays = "cancel", false
		t.Stages[0].Fault = &fault{Kind: "hold", Word: 1, Times: 1}
		if r.IntN(2) == 0 {
			p.Operations = append(p.Operations, &operation{At: at + 29*time.Microsecond, Do: pick(r, []string{"store away", "store stuck", "store slow"}), Replica: r.IntN(p.Replicas), For: 20 * time.Second})
		}
	}
}

// carry gives replicas a way to each other, and more people who don't stay with one of them.
func (p *plan) carry(r *rand.Rand) {
	if p.Replicas < 2 || r.IntN(5) == 0 {
		return
	}
	p.Carries = true
	if r.IntN(3) == 0 {
		p.Replicas = 3
	}
	for _, who := range p.People {
		who.Wanders = who.Wanders || r.IntN(2) == 0
	}
	if r.IntN(2) == 0 {
		o := newOperation(r, p)
		o.At += 31 * time.Microsecond
		o.Do = pick(r, peerOperations)
		p.Operations = append(p.Operations, o)
	}
}

// converse has people keep their conversations on the server, and the store be away meanwhile.
func (p *plan) converse(r *rand.Rand) {
	any := false
	for _, who := range p.People {
		who.Converse = who.Surface == "responses" && !who.Stateful && r.IntN(2) == 0
		any = any || who.Converse
	}
	if any && r.IntN(3) == 0 {
		o := newOperation(r, p)
		o.At += 41 * time.Microsecond
		o.Do = pick(r, []string{"store away", "store stuck", "store slow"})
		p.Operations = append(p.Operations, o)
	}
}

// withoutDrops makes cuts of drops: the chat endpoint has no word for the end of an answer, so that a stream that ends too
// early but properly can't be told from a whole one.
func (p *plan) withoutDrops() {
	for _, who := range p.People {
		for _, t := range who.Tasks {
			for _, s := range t.Stages {
				if s.Fault != nil && strings.HasSuffix(s.Fault.Kind, "drop") {
					s.Fault.Kind = "cut"
				}
			}
		}
	}
}

func newPerson(r *rand.Rand, i int, world *plan) *person {
	name := fmt.Sprintf("p%d", i+1)
	p := &person{
		Name: name, Speaks: name, Key: i + 1, Surface: pick(r, surfaces), Stream: r.IntN(3) > 0, Patience: pick(r, []int{0, 2, 2, 5}),
		Start: time.Duration(r.IntN(20))*413*time.Millisecond + time.Duration(i+1)*17_171*time.Nanosecond, Echo: pick(r, echoes),
	}
	p.Stateful = p.Surface == "responses" && r.IntN(2) == 0
	p.Wanders = world.Replicas > 1 && r.IntN(2) == 0
	if i > 0 && r.IntN(4) == 0 {
		p.Key = 1 // a colleague with the same key
	} else if r.IntN(6) == 0 {
		p.Key += brief
	} else {
		p.Hosted = r.IntN(5) == 0 // the simulator takes all keys with tokens that are soon over for those of one user, who has one account
	}
	for range 1 + r.IntN(3) {
		p.Tasks = append(p.Tasks, newTask(r, p))
	}
	p.Tasks[0].Before = ""
	return p
}

func newTask(r *rand.Rand, p *person) *task {
	t := &task{Before: pick(r, changes), Ask: pick(r, asks)}
	if t.background() && p.Surface != "responses" {
		t.Ask = ""
	}
	stages := 1 + r.IntN(3)
	if t.Ask == "schema" || t.Ask == "title" {
		stages = 1
	}
	if t.Ask == "required" {
		stages = 2
	}
	for i := range stages {
		s := &stage{Words: 1 + r.IntN(6), Gap: time.Duration(r.IntN(4)) * 61 * time.Millisecond}
		if r.IntN(10) == 0 {
			s.Gap = 1700 * time.Millisecond
		}
		if r.IntN(3) == 0 {
			s.Think = 1 + r.IntN(3)
		}
		if i < stages-1 {
			s.Calls = 1 + r.IntN(3)
			s.Announced = r.IntN(2) == 0
			s.Answer = pick(r, answers)
			if s.Announced {
				s.Apart = time.Duration(r.IntN(3)) * 307 * time.Millisecond
			}
		}
		if r.IntN(4) == 0 {
			s.Fault = &fault{Kind: pick(r, faults), Word: r.IntN(s.Words + 1), Times: 1 + r.IntN(2)}
		}
		if r.IntN(8) == 0 {
			s.Leave = pick(r, leaves)
		}
		t.Stages = append(t.Stages, s)
	}
	// By what was drawn already, so that the plans of all seeds stay as they are otherwise.
	t.Strays = (t.Ask == "schema" || t.Ask == "required") && t.Stages[0].Words%2 == 0
	return t
}

// background reports whether the task is done by background responses, as long as its person uses that API.
func (t *task) background() bool {
	return t.Ask == "background" || t.Ask == "follow" || t.Ask == "cancel"
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// taskName is what a person's task is called everywhere.
func taskName(speaks string, i int) string { return fmt.Sprintf("%s.t%d", speaks, i+1) }

// task finds a task by its name; nil when there is none.
func (p *plan) task(name string) *task {
	for _, who := range p.People {
		if speaks, _, _ := strings.Cut(name, "."); who.Speaks == speaks {
			for i, t := range who.Tasks {
				if taskName(speaks, i) == name {
					return t
				}
			}
		}
	}
	return nil
}

// clone is a deep copy.
func (p *plan) clone() *plan {
	q := new(plan)
	if err := json.Unmarshal(p.json(), q); err != nil {
		panic(err) // the plan's own types
	}
	return q
}

func (p *plan) json() []byte {
	data, err := json.MarshalIndent(p, "", " ")
	if err != nil {
		panic(err) // the plan's own types
	}
	return append(data, '\n')
}

// formatCase writes a plan and its story as a case for testdata/cases.
func formatCase(why string, p *plan, story string) []byte {
	return txtar.Format(&txtar.Archive{Comment: []byte(why + "\n"), Files: []txtar.File{{Name: "plan", Data: p.json()}, {Name: "story", Data: []byte(story)}}})
}

// readCase reads the plan of a case.
func readCase(path string) (*plan, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for _, f := range txtar.Parse(data).Files {
		if f.Name == "plan" {
			p := new(plan)
			return p, json.Unmarshal(f.Data, p)
		}
	}
	return nil, fmt.Errorf("%s has no plan", path)
}
