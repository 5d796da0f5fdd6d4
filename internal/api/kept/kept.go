// Package kept is what the surfaces share that keep things for their clients: how a page of a list is asked for and
// answered, and what an error of the store is for a client.
package kept

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"composer-api/internal/agent"
	"composer-api/internal/api/openai"
	"composer-api/internal/store"
)

// A List is a page of a list as OpenAI's lists are:
//
//	{"object": "list", "data": [{…}, {…}], "first_id": "conv_1", "last_id": "conv_2", "has_more": true}
//
// The client asks for the next page with after=last_id.
//
// The store's order is that of creation; FirstID and LastID are of this page.
type List struct {
	Object  string           `json:"object"` // "list"
	Data    []jsontext.Value `json:"data"`
	FirstID string           `json:"first_id"` // "" for an empty page, as LastID: null is no value of theirs
	LastID  string           `json:"last_id"`
	// HasMore says that there is another page.
	HasMore bool `json:"has_more"`
}

// NewList begins a list without entries.
func NewList() *List { return &List{Object: "list", Data: []jsontext.Value{}} }

// Add adds an entry.
func (l *List) Add(id string, entry jsontext.Value) {
	if len(l.Data) == 0 {
		l.FirstID = id
	}
	l.LastID = id
	l.Data = append(l.Data, entry)
}

// ReadPage reads which page a query asks for: limit, order and after. Lists begin with their newest entry when newest is
// true and the query doesn't say otherwise. The error is *agent.Error with the parameter's name. To know whether more follows, the
// caller asks the store for one entry more than Limit.
func ReadPage(query url.Values, newest bool) (store.Page, error) {
	const least, otherwise, most = 1, 20, 100
	page := store.Page{After: query.Get("after"), Descending: newest, Limit: otherwise}
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < least || n > most {
			return page, agent.ParamError(agent.InvalidValue, "limit", "Invalid value for 'limit': '%s'. It must be a whole number from %d to %d.", openai.Clip(text), least, most)
		}
		page.Limit = n
	}
	switch order := query.Get("order"); order {
	case "":
	case "asc", "desc":
		page.Descending = order == "desc"
	default:
		return page, openai.OneOf("order", order, "asc", "desc")
	}
	return page, nil
}

// NotAfter is the error of a page that begins after an entry which isn't there. OpenAI answers
// so, too, and not with an empty page.
func NotAfter(id string) error {
	return agent.ParamError(agent.InvalidValue, "after", "There is no entry with id '%s' in this list.", openai.Clip(id))
}

// retryAfter is when to ask again after the store was away.
const retryAfter = 5 * time.Second

// IsUnavailable reports whether an error of the store may pass: it can't be reached, or doesn't answer in time.
func IsUnavailable(err error) bool {
	return errors.Is(err, store.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded)
}

// Error is an error of the store for the client, an *agent.Error. store.ErrNotFound and ErrConflict mean something else for each
// caller, who looks for them before.
func Error(err error) error {
	switch {
	case IsUnavailable(err):
		return &agent.Error{Code: agent.Overloaded, RetryAfter: retryAfter, Err: err, Message: "What is stored can't be reached at the moment. Please try again."}
	case errors.Is(err, context.Canceled):
		return &agent.Error{Code: agent.Canceled, Err: err}
	case errors.Is(err, store.ErrTooLarge):
		return &agent.Error{Code: agent.TooLarge, Err: err, Message: "The request is too large to be stored."}
	}
	return &agent.Error{Code: agent.Internal, Err: err}
}
