package completions

import (
	"net/http"
	"strconv"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
	"composer-api/internal/sse"
)

// An answer writes the choices of one request to the client. One goroutine may use it. The order of calls, for n prompts:
//
//	choice(0) … choice(n-1)  end  close      every turn succeeded
//	choice(0) … choice(k)    fail  close     turn k failed
//
// It is not an agent.Sink itself, because one request is several turns; choice gives one for each.
type answer interface {
	// choice is the sink of the turn that makes the choice at index. The choices are made one after the other, in order.
	choice(index int) agent.Sink
	// end writes what follows the last choice. An error means that the client can't be reached.
	end() error
	// fail ends an answer of which a turn failed. It reports whether the client has been told; if not, nothing has been
	// written.
	fail(*agent.Error) (told bool)
	// close lets go of the ResponseWriter. The handler must call it before it returns, however the turns went.
	close()
}

// options are what an answer needs besides its request. The zero value is right for everything but tests.
type options struct {
	id      string    // of the completion; "" mints one
	created time.Time // of the completion; zero means now
	sse     sse.Config
}

// newAnswer makes the answer that req asks for. The caller closes it.
func newAnswer(w http.ResponseWriter, req *request, opt options) answer {
	if opt.id == "" {
		opt.id = agent.NewID("cmpl-", 24)
	}
	if opt.created.IsZero() {
		opt.created = time.Now()
	}
	if req.Stream {
		return &stream{w: w, req: req, opt: opt}
	}
	return &wholeAnswer{w: w, req: req, opt: opt}
}

// appendHead appends the opening brace and the members up to choices, with a comma at the end. The fingerprint says
// which model has answered, with its parameters.
//
// The members are written by hand, in OpenAI's order, because the head is part of every chunk.
func appendHead(b []byte, opt *options, model agent.Model) []byte {
	b = append(b, `{"id":`...)
	b = openai.AppendString(b, opt.id)
	b = append(b, `,"object":"text_completion","created":`...)
	b = strconv.AppendInt(b, opt.created.Unix(), 10)
	b = append(b, `,"model":`...)
	b = openai.AppendString(b, model.Ran())
	b = append(b, `,"system_fingerprint":`...)
	b = openai.AppendString(b, model.String())
	return append(b, ',')
}

// finishReason is the reason's name. No tools are offered, so that a turn never ends in calls.
//
// A refusal is "stop", too: the legacy form has no place for more.
func finishReason(reason agent.Reason) string {
	if reason == agent.Length {
		return "length"
	}
	return "stop"
}

// addUsage adds what one turn took to the sum. The turns of a request have one model, and so one price for a token.
func addUsage(sum *agent.Usage, u *agent.Usage) {
	sum.Input += u.Input
	sum.CacheRead += u.CacheRead
	sum.CacheWrite += u.CacheWrite
	sum.Output += u.Output
	sum.Reasoning += u.Reasoning
	sum.Estimated = sum.Estimated || u.Estimated
	sum.Price = u.Price
}
