package control

import (
	"cmp"
	"fmt"
	"strconv"
	"sync"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/lru"
)

// What conversations and keys may spend. There are three limits, each with a name that the user
// can find (limit): the request's own (x-composer-max-cost), the operator's for one
// conversation, and the operator's for one key on one day (UTC).
//
//	newBill    before the turn: refuses a turn whose budget is spent already
//	check      before another attempt: a turn in progress is not repaired beyond its budget
//	Charge     after the turn, also after one that failed
//
// A budget can be exceeded by one turn: what a turn will cost is not known before it is over. Everything
// is in the memory of this process: a restart forgets it, and replicas do not know of one another's.

// A Budget bounds what may be spent. A field that is 0 bounds nothing.
type Budget struct {
	CostUSD float64 // US dollars
	Tokens  int64   // prompt and output, the cache's part included
	Turns   int
}

func (b Budget) bounds() bool { return b != Budget{} }

// An Account says what a turn is charged to. The gateway makes it: Key is the owner and the
// key's id, and Conversation is billName's.
type Account struct {
	Key          string // whose key asks
	Conversation string // the conversation up to this turn; "" for one that begins
	// Price is that of the turn's model, for a limit in US dollars.
	Price agent.Price
}

// spent is what has been spent so far.
type spent struct {
	cost   float64 // US dollars
	tokens int64
	// turns counts those of a conversation, or of a key on one day.
	turns int
}

// plus is s and one more usage, which has its own price. turns is 0 while a turn is only being checked.
func (s spent) plus(u agent.Usage, turns int) spent {
	return spent{s.cost + u.CostUSD(), s.tokens + u.Total(), s.turns + turns}
}

// A ledger remembers what keys and conversations have spent, in this process only. A conversation goes under another name
// with every turn, because it is known by what was said in it; so its sum is carried from name to name. Two branches of a
// conversation each carry on from what they have in common. It is safe for concurrent use.
//
// mu guards both caches, which have no locks of their own. Sizes and ages bound what is
// remembered: of what is forgotten nothing counts any more.
type ledger struct {
	mu sync.Mutex
	// conversations are by the name that each has after its last turn; keys by key and day (UTC).
	conversations *lru.Cache[conversation, spent]
	keys          *lru.Cache[keyDay, spent]
}

// A conversation is a name of one, among those of its key.
type conversation struct{ key, name string }

// A keyDay is a key on one day (UTC).
type keyDay struct{ key, day string }

// newLedger makes an empty ledger. Its bounds are those of docs/architecture.md's table.
func newLedger() *ledger {
	const day = 24 * time.Hour
	return &ledger{
		conversations: lru.New[conversation, spent](lru.Limits{Count: 100_000, Age: 7 * day}),
		keys:          lru.New[keyDay, spent](lru.Limits{Count: 10_000, Age: 2 * day}),
	}
}

// of is what the key has spent today, and the conversation so far.
func (l *ledger) of(a *Account) (key, talk spent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key, _ = l.keys.Get(keyDay{a.Key, today()})
	if a.Conversation != "" {
		talk, _ = l.conversations.Get(conversation{a.Key, a.Conversation})
	}
	return key, talk
}

// charge adds one turn's usage. name is the conversation's name from now on; "" leaves it under its old one, if it has one.
//
// talk is what the conversation had spent when the turn began, and not what is in the cache
// now: two turns that branch off the same conversation each carry on from there.
func (l *ledger) charge(a *Account, talk spent, name string, u agent.Usage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := keyDay{a.Key, today()}
	sum, _ := l.keys.Get(k)
	l.keys.Put(k, sum.plus(u, 1), 0)
	if name = cmp.Or(name, a.Conversation); name != "" {
		l.conversations.Put(conversation{a.Key, name}, talk.plus(u, 1), 0)
	}
}

// today is the day that a key's budget is for. It is the same for all users, whatever their time zone.
func today() string { return time.Now().UTC().Format(time.DateOnly) }

// A bill is what one turn may spend and has spent. It is read-only after newBill: what the turn
// spends is added by the caller (check, Charge).
type bill struct {
	layer   *Layer
	account Account
	request float64 // the request's own limit for its conversation, in US dollars; 0 is none
	key     spent   // before this turn
	// talk is the conversation, before this turn.
	talk spent
}

// Budgeted reports whether anything bounds what req may spend.
func (l *Layer) Budgeted(req *agent.Request) bool {
	return l.cfg.Conversation.bounds() || l.cfg.Key.bounds() || req.MaxCostUSD > 0
}

// newBill opens the bill of a turn; nil when nothing bounds it. Errors are *agent.Error: the budget is spent.
func (l *Layer) newBill(req *agent.Request, a Account) (*bill, error) {
	if !l.Budgeted(req) {
		return nil, nil
	}
	b := &bill{layer: l, account: a, request: req.MaxCostUSD}
	b.key, b.talk = l.ledger.of(&a)
	return b, b.check(agent.Usage{})
}

// check reports whether the turn, which has spent u so far, may go on. A nil bill allows
// everything. The order decides which limit the client is told of: the closest to it first.
func (b *bill) check(u agent.Usage) error {
	if b == nil {
		return nil
	}
	u.Price = b.account.Price
	talk, key := b.talk.plus(u, 0), b.key.plus(u, 0)
	if err := ofRequest.check(talk, Budget{CostUSD: b.request}); err != nil {
		return err
	}
	if err := ofConversation.check(talk, b.layer.cfg.Conversation); err != nil {
		return err
	}
	return ofKey.check(key, b.layer.cfg.Key)
}

// A limit says in words whose budget it is, where it was set, and what to do when it is spent.
// A setting that doesn't exist for this kind of budget is "".
type limit struct{ who, when, cost, tokens, turns, cure string }

var (
	// The three limits that a turn may meet, with their words: the request's own, the server's for a conversation, and for a key.
	ofRequest      = limit{who: "This conversation", cost: "x-composer-max-cost", cure: "Start a new conversation, or send a higher limit."}
	ofConversation = limit{"This conversation", "", "COMPOSER_MAX_COST", "COMPOSER_MAX_TOKENS", "COMPOSER_MAX_TURNS", "Start a new conversation, or raise the limit."}
	ofKey          = limit{"Your key", " today", "COMPOSER_KEY_MAX_COST", "COMPOSER_KEY_MAX_TOKENS", "COMPOSER_KEY_MAX_TURNS", "Wait until tomorrow (UTC), or raise the limit."}
)

// check is the error for whoever has spent what the budget allows; nil when something is left.
//
// The error is final: the same request fails again until the budget is renewed. It names
// amounts, because the user who set the budget has to decide whether to raise it.
func (l *limit) check(s spent, b Budget) error {
	for _, bound := range []struct {
		over                   bool
		setting, spent, budget string
	}{
		{b.CostUSD > 0 && s.cost >= b.CostUSD, l.cost, dollars(s.cost), dollars(b.CostUSD)},
		{b.Tokens > 0 && s.tokens >= b.Tokens, l.tokens, fmt.Sprint(s.tokens, " tokens"), strconv.FormatInt(b.Tokens, 10)},
		{b.Turns > 0 && s.turns >= b.Turns, l.turns, fmt.Sprint(s.turns, " turns"), strconv.Itoa(b.Turns)},
	} {
		if bound.over {
			return &agent.Error{Code: agent.QuotaExceeded, Final: true, Limit: "budget", Message: fmt.Sprintf(
				"%s has spent %s%s of the %s that %s allows. %s", l.who, bound.spent, l.when, bound.budget, bound.setting, l.cure)}
		}
	}
	return nil
}

// dollars writes an amount with as many digits as small sums need.
func dollars(usd float64) string {
	const small = 0.01
	if usd < small {
		return "$" + strconv.FormatFloat(usd, 'f', 6, 64)
	}
	return "$" + strconv.FormatFloat(usd, 'f', 2, 64)
}

// Charge ends the turn's bill: with what it has cost, and the conversation's name from now on; "" for a turn that failed,
// which is charged what is known of its cost.
func (t *Turn) Charge(conversation string, u agent.Usage) {
	if t.bill == nil {
		return
	}
	u.Price = t.bill.account.Price
	t.bill.layer.ledger.charge(&t.bill.account, t.bill.talk, conversation, u)
}
