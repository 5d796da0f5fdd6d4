// Package openai drives the gateway with OpenAI's own SDK for Node. Most cases are txtar files in testdata.
package openai

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"composer-api/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

const prelude = "import { client, model, OpenAI, ask, show, showError, read, tool, pixel } from './openai/prelude.mjs';\n"

func env(gateway *harness.Gateway) []string {
	return []string{"BASE_URL=" + gateway.BaseURL(), "API_KEY=" + harness.Key}
}

func TestChat(t *testing.T) {
	c := harness.Case{Prelude: prelude}
	c.Run(t, "testdata/chat/*.txtar")
}

func TestResponses(t *testing.T) {
	c := harness.Case{Prelude: prelude}
	c.Run(t, "testdata/responses/*.txtar")
}

// TestTheDemoNeedsNoUpstream is what somebody sees who has no key: the tool loop works all the same, and every answer
// says that it is no model's.
func TestTheDemoNeedsNoUpstream(t *testing.T) {
	t.Parallel()
	out := harness.RunNode(t, prelude+`
const log = [];
const prompt = 'Add.\nsim: call add {"a":1,"b":2}\nsim: text The sum is {result 1}.';
const runner = client.chat.completions.runTools(ask(prompt, { stream: true, tools: [tool('add', log, ({ a, b }) => String(a + b))] }));
show('content', await runner.finalContent());
const { response } = await client.chat.completions.create(ask('Hello?')).withResponse();
show('upstream', response.headers.get('x-composer-upstream'));
`, env(harness.StartDemo(t))...)
	if want := "content: \"The sum is 3.\"\nupstream: \"demo\"\n"; out != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
}

// TestAnAbortedStreamIsResetUpstream aborts as users do who press Stop. It measures several times and judges by the
// fastest, because a busy machine may let any process wait. None may take so long that only the next heartbeat or a time-out
// can have ended it.
func TestAnAbortedStreamIsResetUpstream(t *testing.T) {
	for _, tc := range []struct {
		surface string
		begin   string // the stream
		isText  string // whether event is a piece of text
	}{
		{"chat", "client.chat.completions.create(ask('Talk.', { stream: true }), options)", "event.choices[0].delta.content"},
		{"responses", "client.responses.create({ model, input: 'Talk.', stream: true }, options)", "event.type === 'response.output_text.delta'"},
	} {
		t.Run(tc.surface, func(t *testing.T) {
			const times, fastest, slowest = 7, 50 * time.Millisecond, 10 * time.Second
			sim := harness.StartSim(t)
			sim.Play("turn always\ntext It begins.\nhold")
			out := harness.RunNode(t, prelude+`
for (let i = 0; i < `+strconv.Itoa(times)+`; i++) {
  const abort = new AbortController();
  const options = { signal: abort.signal };
  for await (const event of await `+tc.begin+`) {
    if (!(`+tc.isText+`)) continue;
    console.log(performance.timeOrigin + performance.now());
    abort.abort();
  }
}
`, env(harness.StartGateway(t, sim))...)
			runs := sim.AwaitIdle()
			aborted := strings.Fields(out)
			if len(runs) != times || len(aborted) != times {
				t.Fatalf("want %d aborted runs, got\n%s%s", times, out, harness.Summary(runs))
			}
			var took []time.Duration
			for i, run := range runs {
				at, err := strconv.ParseFloat(aborted[i], 64) // milliseconds since 1970
				if err != nil || run.End != "left" {
					t.Fatalf("run %d ended %q (%v)", i+1, run.End, err)
				}
				took = append(took, run.Ended.Sub(time.UnixMicro(int64(at*1000))))
			}
			if slices.Min(took) > fastest || slices.Max(took) > slowest {
				t.Errorf("upstream was reset after %v, want at most %v once and %v always", took, fastest, slowest)
			}
		})
	}
}
