package gateway

import (
	"context"
	"crypto/sha256"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"composer-api/internal/agent"
	"composer-api/internal/backend/backendtest"
)

// gallery is an ImageFetcher that has every image but those it calls dead.
type gallery struct{ fetched, dead []string }

func (g *gallery) Fetch(_ context.Context, _ string, messages []agent.Message) error {
	for _, m := range messages {
		for _, p := range m.Parts {
			if p.Image == nil || p.Image.Data != nil || p.Image.Fault != nil {
				continue
			}
			g.fetched = append(g.fetched, p.Image.URL)
			if slices.Contains(g.dead, p.Image.URL) {
				p.Image.Fault = agent.ParamError(agent.InvalidValue, p.Image.Param, "The image can't be fetched.")
				continue
			}
			p.Image.Data = []byte{1}
		}
	}
	return nil
}

func (g *gallery) take() (urls []string) {
	urls, g.fetched = g.fetched, nil
	return urls
}

func image(url string) []agent.Part { return []agent.Part{{Image: &agent.Image{URL: url}}} }

func TestOnlyImagesThatUpstreamHasNotSeenAreFetched(t *testing.T) {
	images := &gallery{}
	fake := twoCalls()
	g := New(Config{Backends: []agent.Backend{fake}, Images: images})
	defer g.Close(context.Background())
	c := newChat(t, g)
	c.history = append(c.history, agent.Message{Role: agent.User, Parts: image("first")})
	c.must(agent.ResumeNew, "let me see ")
	if diff := cmp.Diff([]string{"first"}, images.take()); diff != "" {
		t.Error(diff)
	}

	c.history[0].Parts = image("first") // the client sends its history anew
	images.dead = []string{"first", "third"}
	c.result("call_1", "a")
	c.history = append(c.history, agent.Message{Role: agent.ToolRole, CallID: "call_2", Parts: image("second")})
	c.history = append(c.history, agent.Message{Role: agent.User, Parts: image("third")})
	var r recorder
	if err := g.Turn(t.Context(), c.request(), &r); agent.CodeOf(err) != agent.InvalidValue || g.parked() != 1 {
		t.Errorf("a dead image: %v, %d parked", err, g.parked())
	}

	images.dead = images.dead[:1]
	images.take()
	for i := range c.history[len(c.history)-2:] {
		m := &c.history[len(c.history)-2+i]
		m.Parts = image(m.Parts[0].Image.URL)
	}
	c.must(agent.ResumeParked, "seen")
	if diff := cmp.Diff([]string{"second", "third"}, images.take()); diff != "" {
		t.Error(diff)
	}
}

const deadNote = "[There was an image here. The image can't be fetched.]"

// The result of a tool is nothing that the user chose, and agents stop at an error.
func TestAnImageOfAToolThatCantBeUsedIsANote(t *testing.T) {
	fake := twoCalls()
	g := New(Config{Backends: []agent.Backend{fake}, Images: &gallery{dead: []string{"dead"}}})
	defer g.Close(context.Background())
	c := newChat(t, g).user("look")
	c.must(agent.ResumeNew, "let me see ")
	c.result("call_1", "a")
	c.history = append(c.history, agent.Message{Role: agent.ToolRole, CallID: "call_2", Parts: image("dead")})
	c.must(agent.ResumeParked, "seen")
	results := fake.Runs()[0].Results()
	if len(results) != 1 || len(results[0]) != 2 || len(results[0][1].Parts) != 1 || results[0][1].Parts[0].Text != deadNote {
		t.Errorf("the run got %+v", results)
	}
}

// Clients send their history again with every request: an image in it that has died must not be an error for ever.
func TestAnOldImageThatCantBeUsedIsANote(t *testing.T) {
	fake := backendtest.NewFake("fake", func(req *agent.Request) (backendtest.Turns, error) {
		return backendtest.Turns{{backendtest.Say("I see"), backendtest.End("agent-1")}}, nil
	})
	g := New(Config{Backends: []agent.Backend{fake}, Images: &gallery{dead: []string{"dead"}}})
	defer g.Close(context.Background())
	c := newChat(t, g)
	broken := []agent.Part{{Text: "see:"}, {Image: &agent.Image{Fault: agent.Errorf(agent.InvalidValue, "The image can't be fetched.")}}}
	c.history = []agent.Message{
		{Role: agent.User, Parts: image("dead")}, {Role: agent.Assistant, Parts: []agent.Part{{Text: "nice"}}}, {Role: agent.User, Parts: broken},
		{Role: agent.Assistant, Parts: []agent.Part{{Text: "I can't"}}},
	}
	c.user("then?").must(agent.ResumeTranscript, "I see")
	sent := fake.Runs()[0].Request.Messages
	if sent[0].Parts[0].Text != deadNote || sent[2].Parts[1].Text != deadNote || sent[2].Parts[0].Text != "see:" {
		t.Errorf("the run got %+v", sent)
	}
	if c.history[2].Parts[1].Image == nil {
		t.Error("the client's own messages were changed")
	}
	// The conversation is remembered by what the client said.
	c.user("go on").must(agent.ResumeMemory, "I see")

	c.history = append(c.history, agent.Message{Role: agent.User, Parts: broken})
	if _, err := c.send(); agent.CodeOf(err) != agent.InvalidValue {
		t.Errorf("an image that the user has just sent: %v", err)
	}
}

// What was made smaller is still the image that the client sent.
func TestAnImageThatWasMadeSmallerIsTheSame(t *testing.T) {
	sum := sha256.Sum256([]byte("large"))
	digest := func(image agent.Image) Digest {
		d := newDigester()
		d.message(&agent.Message{Role: agent.User, Parts: []agent.Part{{Image: &image}}})
		return d.sum()
	}
	if digest(agent.Image{Data: []byte("large")}) != digest(agent.Image{Data: []byte("small"), Original: sum[:]}) {
		t.Error("it has another digest")
	}
}
