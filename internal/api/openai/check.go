package openai

import (
	"slices"
	"strings"

	"composer-api/internal/agent"
)

// Checks that the surfaces share. Each error names the field.

// Missing is the error for a required field that is absent, null or empty.
//
// param is a path as OpenAI writes it: "messages[2].content".
func Missing(param string) *agent.Error {
	return agent.ParamError(agent.MissingParameter, param, "Missing required parameter: '%s'.", param)
}

// OneOf is the error for a field whose value is none of those allowed. It quotes the value, clipped: it goes to the client alone.
func OneOf(param, got string, allowed ...string) *agent.Error {
	return agent.ParamError(agent.InvalidValue, param, "Invalid value '%s' for '%s': it must be one of '%s'.",
		Clip(got), param, strings.Join(allowed, "', '"))
}

// OneOfOr checks a text that may be absent. Absent is fine.
func OneOfOr(param string, v *string, allowed ...string) error {
	if v == nil || slices.Contains(allowed, *v) {
		return nil
	}
	return OneOf(param, *v, allowed...)
}

// InRange checks a number that may be absent. Absent is fine.
func InRange[N ~int | ~float64](param string, v *N, low, high N) error {
	switch {
	case v == nil || low <= *v && *v <= high:
		return nil
	case low == high:
		return agent.ParamError(agent.InvalidValue, param, "Invalid value %v for '%s': it must be %v.", *v, param, low)
	}
	return agent.ParamError(agent.InvalidValue, param, "Invalid value %v for '%s': it must be from %v to %v.", *v, param, low, high)
}

// MaxTokens reads a token limit that may be absent. Some clients send 0 or -1 when they mean no limit. The result is 0
// when there is none.
//
// The unit is a token of ours, see agent.EstimateTokens; package control cuts
// the answer off.
func MaxTokens(param string, v *Int) (int, error) {
	switch {
	case v == nil, *v == 0, *v == -1:
		return 0, nil
	case *v < 0:
		return 0, agent.ParamError(agent.InvalidValue, param, "Invalid value %d for '%s': it must be at least 1. Leave it out for no limit.", *v, param)
	}
	return int(*v), nil
}

// maxStops bounds the stops. All of them are applied. OpenAI takes four, but some clients send more.
const maxStops = 64

// Stops reads the texts before which the answer is cut: one or a list. An empty one would stop everything, which nobody
// means: it is left out. The result is the caller's.
func Stops(param string, v StringOr[[]string]) ([]string, error) {
	list := v.Other
	if v.Kind == '"' {
		list = []string{v.String}
	}
	if len(list) > maxStops {
		return nil, agent.ParamError(agent.InvalidValue, param, "'%s' has %d entries; at most %d are allowed.", param, len(list), maxStops)
	}
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == "" }), nil
}

// Clip shortens what a client has sent to 200 bytes, so that it can be quoted in an error message.
//
// It cuts between characters. The result goes to the client who has sent the text, and to no log.
func Clip(s string) string {
	const most = 200
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
