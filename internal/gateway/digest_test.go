package gateway

import (
	"fmt"
	"strings"
	"testing"

	"composer-api/internal/agent"
)

func digestOf(messages ...agent.Message) Digest {
	d := newDigester()
	for i := range messages {
		d.message(&messages[i])
	}
	return d.sum()
}

func says(role agent.Role, texts ...string) agent.Message {
	m := agent.Message{Role: role}
	for _, text := range texts {
		m.Parts = append(m.Parts, agent.Part{Text: text})
	}
	return m
}

func calls(arguments string, ids ...string) agent.Message {
	m := agent.Message{Role: agent.Assistant}
	for _, id := range ids {
		m.Calls = append(m.Calls, agent.ToolCall{ID: id, Name: "look", Arguments: []byte(arguments)})
	}
	return m
}

func answers(id, text string) agent.Message {
	return agent.Message{Role: agent.ToolRole, CallID: id, Parts: []agent.Part{{Text: text}}}
}

func shows(image agent.Image) agent.Message {
	return agent.Message{Role: agent.User, Parts: []agent.Part{{Image: &image}}}
}

func TestTheSameConversationInOtherWordsHasTheSameDigest(t *testing.T) {
	user := says(agent.User, "hi")
	for name, pair := range map[string][2]Digest{
		"white space of an answer":       {digestOf(user, says(agent.Assistant, " a b\n")), digestOf(user, says(agent.Assistant, "a", "b"))},
		"an answer in two messages":      {digestOf(user, says(agent.Assistant, "ab"), calls("{}", "1")), digestOf(user, calls("{}", "1"), says(agent.Assistant, "a"), says(agent.Assistant, "b"))},
		"empty answers":                  {digestOf(user), digestOf(user, says(agent.Assistant), says(agent.Assistant, " "))},
		"arguments formatted anew":       {digestOf(user, calls(`{"a":1,"b":[1.50]}`, "1")), digestOf(user, calls("{ \"b\": [1.5],\n\"a\": 1 }", "1"))},
		"the call's id among arguments":  {digestOf(user, calls(`{"a":1}`, "call_1")), digestOf(user, calls(`{"a":1,"id":"call_1"}`, "call_1"))},
		"results out of order":           {digestOf(user, calls("{}", "1", "2"), answers("1", "x"), answers("2", "y")), digestOf(user, calls("{}", "1", "2"), answers("2", "y"), answers("1", "x"))},
		"each call next to its result":   {digestOf(user, calls("{}", "1", "2"), answers("1", "x"), answers("2", "y")), digestOf(user, calls("{}", "1"), answers("1", "x"), calls("{}", "2"), answers("2", "y"))},
		"calls with other ids":           {digestOf(user, calls("{}", "1", "2"), answers("1", "x"), answers("2", "y")), digestOf(user, calls("{}", "b", "a"), answers("b", "x"), answers("a", "y"))},
		"one id for several calls":       {digestOf(user, calls("{}", "1"), answers("1", "x"), calls(`{"a":1}`, "2"), answers("2", "y")), digestOf(user, calls("{}", "0"), answers("0", "x"), calls(`{"a":1}`, "0"), answers("0", "y"))},
		"what an image's URL gave today": {digestOf(shows(agent.Image{URL: "https://x/y"})), digestOf(shows(agent.Image{URL: "https://x/y", Data: []byte{1}}))},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s makes a difference", name)
		}
	}
}

func TestDifferentConversationsHaveDifferentDigests(t *testing.T) {
	user := says(agent.User, "hi")
	seen := map[Digest]string{}
	for name, d := range map[string]Digest{
		"nothing":                      digestOf(),
		"a user":                       digestOf(user),
		"twice the same":               digestOf(user, user),
		"the text of two in one":       digestOf(says(agent.User, "hihi")),
		"two parts":                    digestOf(says(agent.User, "hi", "hi")),
		"a space":                      digestOf(says(agent.User, "hi ")),
		"a system":                     digestOf(says(agent.System, "hi")),
		"an assistant":                 digestOf(says(agent.Assistant, "hi")),
		"an answer":                    digestOf(user, says(agent.Assistant, "yes")),
		"another answer":               digestOf(user, says(agent.Assistant, "no")),
		"an answer between two users":  digestOf(user, says(agent.Assistant, "yes"), user),
		"an answer after two users":    digestOf(user, user, says(agent.Assistant, "yes")),
		"a call":                       digestOf(user, calls("{}", "1")),
		"two calls":                    digestOf(user, calls("{}", "1", "2")),
		"the first has a result":       digestOf(user, calls("{}", "1"), calls(`{"a":1}`, "2"), answers("1", "x")),
		"the second has it":            digestOf(user, calls("{}", "1"), calls(`{"a":1}`, "2"), answers("2", "x")),
		"other arguments":              digestOf(user, calls(`{"a":1}`, "1")),
		"arguments that are no object": digestOf(user, calls(`{"a":`, "1")),
		"a result":                     digestOf(user, calls("{}", "1"), answers("1", "x")),
		"another result":               digestOf(user, calls("{}", "1"), answers("1", "y")),
		"a result of another":          digestOf(user, calls("{}", "1"), answers("2", "x")),
		"a result that is an error":    digestOf(user, calls("{}", "1"), agent.Message{Role: agent.ToolRole, CallID: "1", IsError: true, Parts: []agent.Part{{Text: "x"}}}),
		"a user with a name":           digestOf(agent.Message{Role: agent.User, Name: "ann", Parts: user.Parts}),
		"a large number":               digestOf(user, calls(`{"a":9007199254740992}`, "1")),
		"the next large number":        digestOf(user, calls(`{"a":9007199254740993}`, "1")),
		"a text like an image's tag":   digestOf(says(agent.User, strings.Repeat("x", 'i'))),
		"an id of the tool's own":      digestOf(user, calls(`{"id":"7"}`, "1")),
		"parts cut here":               digestOf(says(agent.User, "atb", "c")),
		"parts cut there":              digestOf(says(agent.User, "a", "btc")),
		"an image":                     digestOf(shows(agent.Image{Data: []byte{1}})),
		"another image":                digestOf(shows(agent.Image{Data: []byte{2}})),
		"an image by its URL":          digestOf(shows(agent.Image{URL: "https://x/y"})),
	} {
		if other, ok := seen[d]; ok {
			t.Errorf("%q and %q have the same digest", name, other)
		}
		seen[d] = name
	}
}

// An image's kind was once written where a text has its length, so that a text of that length could stand for an image.
func TestNoTextHashesLikeAnImage(t *testing.T) {
	url := strings.Repeat("a", 'u')
	image := digestOf(shows(agent.Image{URL: url}))
	for _, text := range []string{url, string(rune('u')) + url, url[1:], string(rune(len(url))) + url[1:]} {
		if digestOf(says(agent.User, text)) == image {
			t.Errorf("%q hashes like the image", text)
		}
	}
}

func TestToolsThatDifferHaveDifferentDigests(t *testing.T) {
	seen := map[Digest]agent.Tool{}
	for _, tool := range []agent.Tool{
		{Name: "ab", Description: "c"}, {Name: "xb", Description: "c"}, {Name: "a", Description: "bc"}, {Name: "abc"}, {Name: "a", Description: "b", Parameters: []byte(`"c"`)},
		{Name: "ab", Description: "c", Parameters: []byte(`{}`)}, {Name: "ab", Description: "c", Parameters: []byte(`{"a":1}`)},
	} {
		d := toolsDigest([]agent.Tool{tool}, nil)
		if other, ok := seen[d]; ok {
			t.Errorf("%v and %v have the same digest", other, tool)
		}
		seen[d] = tool
	}
}

// BenchmarkDigest measures what recognising a conversation costs: 1 MB in 200 messages.
func BenchmarkDigest(b *testing.B) {
	var messages []agent.Message
	text := strings.Repeat("The quick brown fox jumps over the lazy dog.\n", 5000/45)
	for i := range 50 {
		id := fmt.Sprint(i)
		messages = append(messages, says(agent.User, text), calls(`{"path":"a"}`, id), answers(id, text+text), says(agent.Assistant, text))
	}
	b.SetBytes(int64(50 * 4 * len(text)))
	for b.Loop() {
		digestOf(messages...)
	}
}
