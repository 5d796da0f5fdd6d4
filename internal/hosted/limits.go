package hosted

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/store"
)

// The limits of a hosted key, and of an account with all of its keys: what they may be used with, and how much. What was
// used is counted in the store, so all replicas agree, and requests of one key (or account with limits) are admitted one
// after the other. A request has to be within both.
//
//	surfaces, models, fast tier    exact
//	requests at once, a minute     exact, but for the clocks of replicas, which may differ
//	tokens a minute, dollars       what a turn takes is known when it has ended: the turns that run at the same time may
//	                               go over the limit, all of them together
//
// A request that is refused is not logged and doesn't count.
//
// So that nobody gets past the limits of a key with a further key, the owner of an account can't make one once the operator
// has limited one of its keys (ownerMayAdd); the operator can. The limits of an account hold for further keys by themselves.

// An admission holds one request against the limits of its key and account. It is used by one goroutine.
// The store may call admit more than once for one request, when its transaction has to be repeated;
// only the last call counts, so admit sets everything again.
type admission struct {
	surface string      // of agent.Surfaces; "" is another route
	model   agent.Model // zero when the catalogue doesn't know it: the gateway refuses it
	// now is when the request begins, by the clock of this process.
	now  time.Time
	left []agent.RateLimit // what is left, this request counted; admit fills it in
}

// A level is one of the two whose limits hold: the key, or the account.
type level struct {
	whose string // "Your key", for people
	limit string // "key", for the names of limits in metrics
	// limits are what it may, and used what it has used: both as the store reads them in the transaction that admits.
	limits *store.KeyLimits
	used   *store.KeyUsage
}

// admit is for store.RequestLogs.AdmitRequest, which may call it again. Its errors are *agent.Error. The key comes first:
// what it may is the nearer thing to its user.
func (a *admission) admit(at store.Standing) error {
	levels := []level{{"Your key", "key", &at.Key.Limits, &at.KeyUsed}, {"Your account", "account", &at.Account, &at.AccountUsed}}
	// Scope, then budget, then rate: from what never passes by waiting to what passes within a minute.
	for _, l := range levels {
		if err := a.inScope(&l); err != nil {
			return err
		}
	}
	for _, l := range levels {
		if err := inBudget(&l); err != nil {
			return err
		}
	}
	a.left = nil
	var over *agent.Error
	for _, l := range levels {
		left, err := a.inRate(&l)
		a.left = tighter(a.left, left)
		// Of two limits that are reached, the client hears of the one that is over last.
		if err != nil && (over == nil || err.RetryAfter > over.RetryAfter) {
			over = err
		}
	}
	if over != nil {
		over.RateLimits = a.left
		return over
	}
	return nil
}

// tighter is, of each kind of thing, the limit that leaves less, so that a client that goes by the headers is within both.
func tighter(a, b []agent.RateLimit) []agent.RateLimit {
	for _, l := range b {
		i := slices.IndexFunc(a, func(other agent.RateLimit) bool { return other.Of == l.Of })
		switch {
		case i < 0:
			a = append(a, l)
		case l.Remaining < a[i].Remaining:
			a[i] = l
		}
	}
	return a
}

// inScope fails for a surface or a model that may not be used.
func (a *admission) inScope(at *level) error {
	l := at.limits
	if len(l.Surfaces) > 0 && !slices.Contains(l.Surfaces, a.surface) {
		return agent.Errorf(agent.PermissionDenied, "%s may not be used with this API. It may be used with: %s.", at.whose, strings.Join(l.Surfaces, ", "))
	}
	// The name of the model that would run, and not the alias that was asked for: an alias must not
	// open a way around the limit.
	name := a.model.Ran()
	if len(l.Models) > 0 && name != "" && !matchesAny(l.Models, name) {
		return agent.ParamError(agent.PermissionDenied, "model", "%s may not use the model %q. It may use: %s.", at.whose, name, strings.Join(l.Models, ", "))
	}
	// The fast tier is a parameter of the model, and costs more.
	if l.NoFast && slices.Contains(a.model.Params, agent.Param{ID: "fast", Value: "true"}) {
		return agent.ParamError(agent.PermissionDenied, "model", "%s may not use the fast tier. Ask for %q.", at.whose, a.model.ID)
	}
	return nil
}

// matchesAny reports whether a pattern of [path.Match] matches the name. One that is malformed matches nothing.
func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		ok, err := path.Match(pattern, name)
		return ok && err == nil
	})
}

// inBudget fails when what may be spent on this day or in this month is spent. To wait some seconds doesn't help, so
// clients are told not to try again.
func inBudget(at *level) error {
	l, used := at.limits, at.used
	for _, w := range []struct {
		limit, span, again string
		spent, most        float64
	}{
		{"_cost_day", "today", "tomorrow", used.DayUSD, l.USDPerDay},
		{"_cost_month", "this month", "next month", used.MonthUSD, l.USDPerMonth},
	} {
		// At the limit and not only above it, because the next turn costs something in any case.
		if w.most > 0 && w.spent >= w.most {
			return &agent.Error{
				Code: agent.QuotaExceeded, Limit: at.limit + w.limit,
				Message: fmt.Sprintf("%s has spent $%.2f %s, and may spend $%.2f. It can be used again %s (UTC), or when the operator raises its limit.", at.whose, w.spent, w.span, w.most, w.again),
			}
		}
	}
	return nil
}

// inRate fails when as many requests are in progress as may be, or when what there is for a minute is used up. It also
// returns what is left for this minute.
func (a *admission) inRate(at *level) (left []agent.RateLimit, over *agent.Error) {
	l, used := at.limits, at.used
	// When the oldest request leaves the window, there is room for another one.
	reset := a.now
	if !used.Oldest.IsZero() {
		reset = used.Oldest.Add(time.Minute)
	}
	// At least a second: clients take 0 for "at once".
	wait := max(time.Second, reset.Sub(a.now))
	for _, w := range []struct {
		of, limit        string
		most, used, asks int64 // asks is what this request takes, as far as that is known
	}{
		{"requests", "_requests", l.RequestsPerMinute, used.Requests, 1},
		// Which tokens this request will take nobody knows yet.
		{"tokens", "_tokens", l.TokensPerMinute, used.Tokens, 0},
	} {
		if w.most == 0 {
			continue
		}
		left = append(left, agent.RateLimit{Of: w.of, Limit: w.most, Remaining: max(0, w.most-w.used-w.asks), Reset: reset})
		if w.used >= w.most {
			over = &agent.Error{
				Code: agent.RateLimited, RetryAfter: wait, Limit: at.limit + w.limit,
				Message: fmt.Sprintf("%s has used %d %s within a minute, and may use %d. Please try again in %d seconds.", at.whose, w.used, w.of, w.most, (wait+time.Second-1)/time.Second),
			}
		}
	}
	// Only when the minute still has room: else that limit is over later, and to come back in a second would be in vain.
	if over == nil && l.Concurrent > 0 && used.Running >= l.Concurrent {
		over = &agent.Error{
			Code: agent.RateLimited, RetryAfter: time.Second, Limit: at.limit + "_concurrent",
			Message: fmt.Sprintf("%s has %d requests in progress, as many as it may have. Please try again when one is done.", at.whose, used.Running),
		}
	}
	return left, over
}

// A limitedSink tells the client what is left of its limits, in the headers of the answer.
type limitedSink struct {
	agent.Sink
	// left is of this request; nil when the key has no limits that clients are told.
	left []agent.RateLimit
}

// Accept implements agent.Sink.
func (s limitedSink) Accept(a agent.Accepted) error {
	// The surface writes it as headers, see api.SetRateLimits.
	a.RateLimits = s.left
	return s.Sink.Accept(a)
}

// Rewind implements agent.Rewinder.
func (s limitedSink) Rewind() bool { return agent.Rewind(s.Sink) }

// admit finds out what the request asks for and records it if the key may. Errors are *agent.Error or the store's.
func (s *Service) admit(ctx context.Context, req *agent.Request, l store.RequestLog) ([]agent.RateLimit, error) {
	a := &admission{surface: req.Origin.Surface(), now: l.Created}
	if s.cfg.Model != nil {
		// Outside of the transaction, because it may ask Cursor for its list of models.
		//
		// An error is not told here: the gateway meets it, too, and has the words for it.
		if model, err := s.cfg.Model(ctx, req.Caller, req.ModelName, req.Effort); err == nil {
			a.model = model
		}
	}
	err := s.cfg.Store.AdmitRequest(ctx, l, a.admit)
	return a.left, err
}
