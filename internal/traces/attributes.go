package traces

import (
	"strings"

	"go.opentelemetry.io/otel/attribute"

	"composer-api/internal/agent"
	"composer-api/internal/httpd"
	"composer-api/internal/watch"
)

// The attributes that OpenTelemetry has names for. Source: its semantic conventions for HTTP, for errors and for generative
// AI. Those of the last are still in development, and no part of the SDK's package semconv any more.
const (
	methodKey       = attribute.Key("http.request.method")
	routeKey        = attribute.Key("http.route")
	statusKey       = attribute.Key("http.response.status_code")
	errorKey        = attribute.Key("error.type") // the name of agent's code
	operationKey    = attribute.Key("gen_ai.operation.name")
	providerKey     = attribute.Key("gen_ai.provider.name")
	askedModelKey   = attribute.Key("gen_ai.request.model")
	ranModelKey     = attribute.Key("gen_ai.response.model")
	finishKey       = attribute.Key("gen_ai.response.finish_reasons")
	conversationKey = attribute.Key("gen_ai.conversation.id")
	inputKey        = attribute.Key("gen_ai.usage.input_tokens") // the whole prompt, what the cache served included
	cacheReadKey    = attribute.Key("gen_ai.usage.cache_read.input_tokens")
	cacheWriteKey   = attribute.Key("gen_ai.usage.cache_creation.input_tokens")
	outputKey       = attribute.Key("gen_ai.usage.output_tokens")
)

// Our own.
const (
	requestIDKey = attribute.Key("composer.request_id") // as in the log
	surfaceKey   = attribute.Key("composer.surface")
	upstreamKey  = attribute.Key("composer.upstream")
	resumeKey    = attribute.Key("composer.resume")
	outcomeKey   = attribute.Key("composer.outcome") // as the metrics' label
	callsKey     = attribute.Key("composer.calls")
	costKey      = attribute.Key("composer.cost_usd")
	reasonKey    = attribute.Key("composer.repair.reason")
	waitedKey    = attribute.Key("composer.parked_seconds")
	parkedByKey  = attribute.Key("composer.parked_by.request_id")
)

// The events of a turn's span.
const (
	connectEvent    = "composer.connect"     // upstream has accepted the run
	firstTokenEvent = "composer.first_token" // the first piece of text, of thinking or of a call
	parkEvent       = "composer.park"        // the run waits for tool results
	resumeEvent     = "composer.resume"      // the run that has waited goes on
	repairEvent     = "composer.repair"
	retryEvent      = "composer.retry"
)

// unrouted is the name of the span of a request that fits no route: its path is the client's word.
const unrouted = "HTTP"

// request is what the span of a request is called, and what it says.
func request(a *httpd.Answer) (name string, attributes []attribute.KeyValue) {
	attributes = append(attributes, requestIDKey.String(a.RequestID))
	if a.Status != 0 {
		attributes = append(attributes, statusKey.Int(a.Status))
	}
	if a.Err != nil {
		attributes = append(attributes, errorKey.String(agent.CodeOf(a.Err).String()))
	}
	// An endpoint is the pattern of a route, "POST /v1/responses". Without one the method is the client's word, too.
	method, route, found := strings.Cut(a.Endpoint, " ")
	if !found {
		return unrouted, append(attributes, methodKey.String("_OTHER"))
	}
	return a.Endpoint, append(attributes, methodKey.String(method), routeKey.String(route))
}

// operation is what the conventions call a turn of this surface: "text_completion" for a legacy completion, and "chat" for all others.
func operation(o *agent.Origin) string {
	if o.Surface() == "completions" {
		return "text_completion"
	}
	return "chat"
}

// turnAttributes is what the span of a turn says. Models have the catalogue's names: what the client calls them is its own
// word.
func turnAttributes(t *watch.Turn) []attribute.KeyValue {
	attributes := []attribute.KeyValue{
		operationKey.String(operation(&t.Origin)), providerKey.String("cursor"), requestIDKey.String(t.Origin.RequestID),
		surfaceKey.String(t.Origin.Surface()), outcomeKey.String(t.Outcome()),
	}
	// An outcome is the name of an error's code, or why the answer ended.
	if t.Err != nil {
		attributes = append(attributes, errorKey.String(t.Outcome()))
	} else {
		attributes = append(attributes, finishKey.StringSlice([]string{t.Outcome()}))
	}
	if t.Connected.IsZero() {
		return attributes // nobody has chosen a model, and nothing was used
	}
	attributes = append(attributes, askedModelKey.String(t.Accepted.Model.Ran()), ranModelKey.String(t.Accepted.Model.ID),
		upstreamKey.String(t.Accepted.Upstream), resumeKey.String(string(t.Accepted.Resume)), callsKey.Int(t.Calls),
		inputKey.Int64(t.Usage.Prompt()), outputKey.Int64(t.Usage.Output))
	// What follows is left out where it says nothing.
	if id := t.Accepted.ConversationID; id != "" {
		attributes = append(attributes, conversationKey.String(id))
	}
	if n := t.Usage.CacheRead; n > 0 {
		attributes = append(attributes, cacheReadKey.Int64(n))
	}
	if n := t.Usage.CacheWrite; n > 0 {
		attributes = append(attributes, cacheWriteKey.Int64(n))
	}
	if usd := t.Usage.CostUSD(); usd > 0 {
		attributes = append(attributes, costKey.Float64(usd))
	}
	return attributes
}
