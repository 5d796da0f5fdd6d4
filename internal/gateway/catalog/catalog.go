// Package catalog knows what model names mean: which model a client's name refers to, with which parameters
// upstream is asked for it, how large its context is and what it costs.
//
//	"cursor/Composer-2.5-fast" ──► agent.Model{composer-2.5, fast=true}
//
// Composer's own models are compiled in, so that a request for one of them needs no look-up. Everything else comes
// from the live catalogue of the caller's key, which is fetched when somebody asks for it and cached for a while
// per owner. A [Catalog] is safe for concurrent use.
//
// A name is looked up in this order; the first that knows it decides:
//
//  1. Composer's own ids and aliases   no look-up, the same for every key
//  2. the operator's aliases           the model of the alias goes on to 1 and 3
//  3. the live catalogue of the key    one request to upstream per owner and TTL
package catalog

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"composer-api/internal/agent"
)

// A Model is one model that a client can ask for.
//
// It is a value; copies share the parameters and the lists, which nobody changes.
type Model struct {
	ID string // as clients name it: "composer-2.5-fast"
	// DisplayName and Description are for people who choose one. Created is when the model was released, as far as that is known.
	DisplayName   string
	Description   string
	ContextWindow int // tokens
	Created       time.Time
	// Upstream is what upstream is asked for. Its parameters are always explicit.
	Upstream agent.Model
	// Efforts is the model's parameter for reasoning effort, nil when it has none.
	Efforts *Parameter

	variants []Variant // as upstream lists them; none for Composer's own models
}

// A Variant is a choice of parameters that upstream lists for a model.
type Variant struct {
	// Params are all of them, not only those that differ from a default.
	Params  []agent.Param
	MaxMode bool // a run with these parameters must ask for max mode
}

// A Parameter is a setting of a model that upstream's catalogue lists.
type Parameter struct {
	ID     string
	Values []string
}

// A Listed is a model as upstream's catalogue lists it. It names no API: internal/cli
// translates what Cursor's API returns.
type Listed struct {
	// ID is what upstream is asked for. Aliases are other names for it.
	ID, DisplayName, Description string
	Aliases                      []string
	Parameters                   []Parameter
	Variants                     []Variant
}

// Config is what a Catalog needs. Its zero value knows Composer's own models only.
type Config struct {
	// Fetch asks upstream for the models that a key may use. Nil means that there is no live catalogue. Its errors
	// are *agent.Error.
	Fetch func(ctx context.Context, key agent.Secret) ([]Listed, error)
	// TTL is how long a fetched list is served; 0 means ten minutes.
	TTL time.Duration
	// MaxOwners bounds how many owners' lists are kept; 0 means 1,000.
	MaxOwners int
	// MaxBytes bounds what these lists hold together; 0 means 32 MiB.
	MaxBytes int
	// Aliases are names that the operator gives to models. They come before the live catalogue, so that
	// a name means the same for every key, and never replace Composer's own names. The first that
	// matches counts.
	Aliases []Alias
	// Log receives what goes wrong with Fetch. Nil discards it.
	Log *slog.Logger
}

// A Catalog answers what model names mean. It owns nothing that needs closing.
//
// mu guards lists, and those fields of a list that say so. It is not held while upstream is asked.
type Catalog struct {
	// cfg has its defaults filled in and doesn't change.
	cfg Config

	mu    sync.Mutex
	lists map[string]*list // by owner
}

// A list is the live catalogue of one owner. models, aliases and err are set when ready is closed, and not changed
// afterwards.
//
//	state                         ready    in Catalog.lists
//	being fetched                 open     yes; everybody who asks waits for it
//	fetched                       closed   until it expires or makes room
//	failed                        closed   no: who waited gets err, who comes later asks again
//	expired                       closed   until the next request replaces it
type list struct {
	ready   chan struct{}
	expires time.Time // guarded by Catalog.mu
	size    int       // about how many bytes it holds; 0 until it is there. Guarded by Catalog.mu
	// models are in upstream's order; aliases lead from a name in lower case to an id.
	models  []Model
	aliases map[string]string
	err     error
}

// New makes a Catalog.
func New(cfg Config) *Catalog {
	cfg.TTL = cmp.Or(cfg.TTL, 10*time.Minute)
	cfg.MaxOwners = cmp.Or(cfg.MaxOwners, 1000)
	cfg.MaxBytes = cmp.Or(cfg.MaxBytes, 32<<20)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Catalog{cfg: cfg, lists: map[string]*list{}}
}

// List returns the models that the caller's key may use, in upstream's order. Errors are *agent.Error. The caller decides
// what follows when the live catalogue can't be reached.
//
// The list is a copy that the caller may reorder.
func (c *Catalog) List(ctx context.Context, caller agent.Caller) ([]Model, error) {
	l, err := c.live(ctx, caller)
	if err != nil {
		return nil, err
	}
	return slices.Clone(l.models), nil
}

// Builtin are Composer's own models, which every key may use.
func Builtin() []Model { return slices.Clone(builtin) }

// Find returns the model that name refers to: an id or an alias, with or without a client's provider prefix. It
// looks among Composer's own names, the operator's aliases and the live catalogue, in this order. An unknown name is
// an *agent.Error with code ModelNotFound; for an alias, the error names the alias's model.
func (c *Catalog) Find(ctx context.Context, caller agent.Caller, name string) (Model, error) {
	if _, ok := builtinSpelt(name); !ok {
		name = aliased(c.cfg.Aliases, name)
	}
	return c.find(ctx, caller, name)
}

// builtinSpelt is builtinNamed for every spelling of name.
func builtinSpelt(name string) (Model, bool) {
	for _, candidate := range spellings(name) {
		if m, ok := builtinNamed(candidate); ok {
			return m, true
		}
	}
	return Model{}, false
}

// find is Find without the operator's aliases.
//
// The error is ModelNotFound only when the catalogue was there: one that can't be reached is
// another error, and the client should not be told that its model does not exist.
func (c *Catalog) find(ctx context.Context, caller agent.Caller, name string) (Model, error) {
	if m, ok := builtinSpelt(name); ok {
		return m, nil
	}
	l, err := c.live(ctx, caller)
	if err != nil {
		return Model{}, err
	}
	for _, candidate := range spellings(name) {
		id := cmp.Or(l.aliases[candidate], candidate)
		if i := slices.IndexFunc(l.models, func(m Model) bool { return strings.EqualFold(m.ID, id) }); i >= 0 {
			return l.models[i], nil
		}
	}
	return Model{}, agent.ParamError(agent.ModelNotFound, "model",
		"The model %q does not exist or your key has no access to it. GET /v1/models lists what there is.", shorten(name))
}

// Resolve returns what upstream is asked for when a client names a model and a reasoning effort. An effort that the
// model doesn't have is ignored, because clients send one whatever the model. Errors are those of Find.
//
// Name in the result is the catalogue's id, in its own spelling, for what the client is told;
// upstream gets ID and Params.
func (c *Catalog) Resolve(ctx context.Context, caller agent.Caller, name, effort string) (agent.Model, error) {
	m, err := c.Find(ctx, caller, name)
	if err != nil {
		return agent.Model{}, err
	}
	target := m.Upstream
	target.Name = m.ID
	if m.Efforts != nil && slices.Contains(m.Efforts.Values, effort) {
		target.Params = append(slices.Clip(slices.Clone(target.Params)), agent.Param{ID: m.Efforts.ID, Value: effort})
	}
	target.MaxMode = needsMaxMode(m.variants, target.Params)
	return target, nil
}

// needsMaxMode reports whether there is a variant that has these parameters, and all such variants need max mode.
// Source: SDK 1.1.0 decides it this way.
func needsMaxMode(variants []Variant, params []agent.Param) bool {
	needs := false
	for _, v := range variants {
		if slices.ContainsFunc(params, func(p agent.Param) bool { return !slices.Contains(v.Params, p) }) {
			continue // it has not all of them
		}
		if !v.MaxMode {
			return false
		}
		needs = true
	}
	return needs
}

// spellings lists the ids that a client's name may refer to, the most likely first, all in lower
// case. Clients put the name of their provider entry before a model ("cursor/composer-2.5"), and
// the SDK writes the tier in brackets ("composer-2.5[fast=true]"). Everything up to the first
// slash is taken for a provider's name, but the whole name is tried first.
func spellings(name string) []string {
	name = strings.ToLower(name)
	if plain, ok := strings.CutSuffix(name, "["+fastParam+"=true]"); ok {
		name = strings.TrimSuffix(plain, "-fast") + "-fast"
	} else if plain, ok := strings.CutSuffix(name, "["+fastParam+"=false]"); ok {
		name = strings.TrimSuffix(plain, "-fast")
	}
	names := []string{name}
	if _, bare, ok := strings.Cut(name, "/"); ok {
		names = append(names, bare)
	}
	return names
}

// shorten bounds how much of a client's text is quoted in an error.
func shorten(name string) string {
	if len(name) > 100 {
		return strings.ToValidUTF8(name[:100], "") + "…"
	}
	return name
}

// live returns the owner's live catalogue, and fetches it when there is none that is fresh. One fetch is under way per
// owner; everybody else waits for it.
//
// The list is kept for the owner, whichever of its keys has asked.
func (c *Catalog) live(ctx context.Context, caller agent.Caller) (*list, error) {
	if c.cfg.Fetch == nil {
		return &list{models: builtin}, nil
	}
	c.mu.Lock()
	l := c.lists[caller.Owner]
	if l == nil || time.Now().After(l.expires) {
		l = &list{ready: make(chan struct{}), expires: time.Now().Add(c.cfg.TTL)}
		c.lists[caller.Owner] = l
		c.makeRoom()
		// The fetch serves everybody who waits, so it does not end with the one who asked first.
		go c.fetch(context.WithoutCancel(ctx), caller, l)
	}
	c.mu.Unlock()
	select {
	case <-l.ready:
		return l, l.err
	case <-ctx.Done():
		return nil, &agent.Error{Code: agent.Canceled, Err: ctx.Err()}
	}
}

// makeRoom drops the lists that expire first while there are too many or they are too large.
// Whoever waits for one of them still gets it. c.mu is held. It takes time linear in the lists
// for each one that it drops, which is rare.
func (c *Catalog) makeRoom() {
	for {
		var oldest string
		bytes := 0
		for owner, l := range c.lists {
			bytes += l.size
			if oldest == "" || l.expires.Before(c.lists[oldest].expires) {
				oldest = owner
			}
		}
		if len(c.lists) <= c.cfg.MaxOwners && bytes <= c.cfg.MaxBytes {
			return
		}
		delete(c.lists, oldest)
	}
}

// keep notes how large a list has become.
func (c *Catalog) keep(l *list) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range l.models {
		l.size += m.size()
	}
	for alias, id := range l.aliases {
		l.size += len(alias) + len(id)
	}
	c.makeRoom()
}

// size is about how many bytes m holds.
func (m *Model) size() int {
	const fixed = 256 // the struct itself, and what allocations round up to
	size := fixed + len(m.ID) + len(m.DisplayName) + len(m.Description)
	if m.Efforts != nil {
		for _, v := range m.Efforts.Values {
			size += len(v)
		}
	}
	for _, v := range m.variants {
		size += fixed
		for _, p := range v.Params {
			size += len(p.ID) + len(p.Value)
		}
	}
	return size
}

// fetchTimeout bounds one request for the live catalogue.
const fetchTimeout = 15 * time.Second

// fetch fills in l and closes l.ready. A list that could not be fetched is returned to those who wait, and to nobody
// after them.
//
// It runs in a goroutine of its own, and closes ready whatever happens, a panic included:
// otherwise everybody who waits would wait until their own context ends.
func (c *Catalog) fetch(ctx context.Context, caller agent.Caller, l *list) {
	defer close(l.ready)
	defer agent.CatchPanic(func(err *agent.Error) {
		c.cfg.Log.Error("model catalogue", "err", err)
		l.err = err
		c.forget(caller.Owner, l)
	})
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	// ctx is not that of the request: others may wait for the same list.
	listed, err := c.cfg.Fetch(ctx, caller.CursorKey)
	if err != nil {
		var known *agent.Error
		if !errors.As(err, &known) {
			err = &agent.Error{Code: agent.Upstream, Message: "The model catalogue can't be reached.", Err: err}
		}
		c.cfg.Log.Warn("model catalogue", "err", err)
		l.err = err
		c.forget(caller.Owner, l)
	} else {
		l.models, l.aliases = fromListed(listed)
		c.keep(l)
	}
}

// forget drops a list that could not be fetched, so that the next request asks again.
func (c *Catalog) forget(owner string, l *list) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lists[owner] == l {
		delete(c.lists, owner)
	}
}

// fromListed turns upstream's catalogue into ours. A model with the parameter "fast" becomes two: itself, asked for
// with fast=false, and one whose id ends in "-fast", unless upstream lists that id itself.
func fromListed(listed []Listed) ([]Model, map[string]string) {
	var models []Model
	aliases := map[string]string{}
	for _, entry := range listed {
		plain := Model{
			ID: entry.ID, DisplayName: cmp.Or(entry.DisplayName, entry.ID), Description: entry.Description,
			ContextWindow: defaultContextWindow, Upstream: agent.Model{ID: entry.ID}, Created: released,
			variants: entry.Variants,
		}
		for _, p := range entry.Parameters {
			if isEffort(p) {
				plain.Efforts = &Parameter{ID: p.ID, Values: slices.Clone(p.Values)}
			}
		}
		if known, ok := builtinNamed(entry.ID); ok {
			plain.ContextWindow = known.ContextWindow
		}
		// Asked for explicitly in both cases: the default of the parameter is upstream's, and may change.
		hasFast := slices.ContainsFunc(entry.Parameters, func(p Parameter) bool { return p.ID == fastParam })
		if hasFast {
			plain.Upstream = withFast(entry.ID, "false")
		}
		models = append(models, plain)
		if fastID := entry.ID + "-fast"; hasFast && !slices.ContainsFunc(listed, func(l Listed) bool { return l.ID == fastID }) {
			fast := plain
			fast.ID = fastID
			fast.DisplayName += " Fast"
			fast.Upstream = withFast(entry.ID, "true")
			models = append(models, fast)
		}
		for _, alias := range entry.Aliases {
			aliases[strings.ToLower(alias)] = entry.ID
		}
	}
	return models, aliases
}

// isEffort reports whether p is a model's parameter for reasoning effort.
func isEffort(p Parameter) bool {
	switch p.ID {
	case "effort", "reasoning_effort", "reasoning":
		return true
	}
	return false
}
