package hosted

import (
	"context"
	"math"
	"path"
	"slices"
	"strings"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/store"
)

// An Operator does what whoever runs the server may do with accounts, keys and invitations: by commands, on the operator's
// page, by the admin API. Each act is written into the list of acts before it is done (Audit); one about a thing that isn't
// there is neither. It needs no encryption key. Errors are the store's, and *agent.Error about what was asked for.
type Operator struct {
	// service does the work. who is written into each entry, and is not checked.
	service *Service
	who     string
}

// Operator is whoever acts by that name: "operator's page". Names of persons come from outside.
func (s *Service) Operator(who string) *Operator { return &Operator{s, who} }

// Audit records an act of an operator before it is carried out; when that fails, the act must not be done. actor is who acts
// ("operator's page"), action what they do ("revoke key"), subject what they do it to, and detail is for people; the last two
// may be empty. Errors are the store's.
func Audit(ctx context.Context, db store.Audits, actor, action, subject, detail string) error {
	return audit(ctx, db, time.Now(), actor, action, subject, detail)
}

// audit is Audit at a time, so that a Service's own clock counts.
func audit(ctx context.Context, db store.Audits, at time.Time, actor, action, subject, detail string) error {
	return db.AddAudit(ctx, store.AuditEntry{ID: agent.NewID("audit_", 22), At: at, Actor: actor, Action: action, Subject: subject, Detail: detail})
}

// audit is Audit in the operator's name.
func (o *Operator) audit(ctx context.Context, action, subject, detail string) error {
	return audit(ctx, o.service.cfg.Store, o.service.cfg.Now(), o.who, action, subject, detail)
}

// CreateKey makes a further key for an account, with the name, end and limits of as. store.ErrNotFound: there is no such
// account.
func (o *Operator) CreateKey(ctx context.Context, account string, as store.Key) (agent.Secret, store.Key, error) {
	if err := CheckLimits(&as.Limits); err != nil {
		return agent.Secret{}, store.Key{}, err
	}
	if _, err := o.service.cfg.Store.Account(ctx, account); err != nil {
		return agent.Secret{}, store.Key{}, err
	}
	if err := o.audit(ctx, "create key", account, Describe(&as)); err != nil {
		return agent.Secret{}, store.Key{}, err
	}
	return o.service.AddKey(ctx, account, as)
}

// ChangeKey changes the name, end and limits of a key by change, whose error is returned as it is, and returns the key.
// Servers go by it from the key's next request on. Of two operators who change one key at the same moment, the later wins.
func (o *Operator) ChangeKey(ctx context.Context, id string, change func(*store.Key) error) (store.Key, error) {
	// The whole key is given to change, but only name, end and limits are stored.
	key, _, err := o.service.cfg.Store.Key(ctx, id)
	if err != nil {
		return store.Key{}, err
	}
	if err := change(&key); err != nil {
		return store.Key{}, err
	}
	if err := CheckLimits(&key.Limits); err != nil {
		return store.Key{}, err
	}
	if err := o.audit(ctx, "limit key", id, Describe(&key)); err != nil {
		return store.Key{}, err
	}
	return key, o.service.cfg.Store.ChangeKey(ctx, key)
}

// RevokeKey makes a key invalid, from now on and on every replica.
func (o *Operator) RevokeKey(ctx context.Context, id string) error {
	if _, _, err := o.service.cfg.Store.Key(ctx, id); err != nil {
		return err
	}
	if err := o.audit(ctx, "revoke key", id, ""); err != nil {
		return err
	}
	return o.service.Revoke(ctx, id)
}

// RotateKey is Service.Rotate.
func (o *Operator) RotateKey(ctx context.Context, id string) (agent.Secret, store.Key, error) {
	if _, _, err := o.service.cfg.Store.Key(ctx, id); err != nil {
		return agent.Secret{}, store.Key{}, err
	}
	if err := o.audit(ctx, "rotate key", id, ""); err != nil {
		return agent.Secret{}, store.Key{}, err
	}
	return o.service.Rotate(ctx, id)
}

// LimitAccount changes what all keys of an account may together, as ChangeKey does for a key.
func (o *Operator) LimitAccount(ctx context.Context, id string, change func(*store.KeyLimits) error) (store.Account, error) {
	account, err := o.service.cfg.Store.Account(ctx, id)
	if err != nil {
		return store.Account{}, err
	}
	if err := change(&account.Limits); err != nil {
		return store.Account{}, err
	}
	if err := CheckLimits(&account.Limits); err != nil {
		return store.Account{}, err
	}
	if err := o.audit(ctx, "limit account", id, DescribeLimits(&account.Limits)); err != nil {
		return store.Account{}, err
	}
	return account, o.service.cfg.Store.LimitAccount(ctx, id, account.Limits)
}

// DeleteAccount deletes an account and all that belongs to it.
func (o *Operator) DeleteAccount(ctx context.Context, id string) error {
	if _, err := o.service.cfg.Store.Account(ctx, id); err != nil {
		return err
	}
	if err := o.audit(ctx, "delete account", id, ""); err != nil {
		return err
	}
	return o.service.cfg.Store.DeleteAccount(ctx, id)
}

// Bounds of an invitation.
const (
	MostUses = 100_000
	// MostInvitations is how many are listed, the newest: far more than an operator makes in a year.
	MostInvitations   = 10_000
	longestInvitation = 3660 * 24 * time.Hour
	longestNote       = 200 // bytes
)

// Invite makes an invitation for so many accounts, good for so long. The text must be shown to the operator and then
// forgotten.
func (o *Operator) Invite(ctx context.Context, note string, uses int64, age time.Duration) (agent.Secret, store.Invitation, error) {
	switch {
	case uses < 1 || uses > MostUses:
		return agent.Secret{}, store.Invitation{}, agent.ParamError(agent.InvalidValue, "uses", "An invitation is for 1 to %d accounts, not %d.", MostUses, uses)
	case age <= 0 || age > longestInvitation:
		return agent.Secret{}, store.Invitation{}, agent.ParamError(agent.InvalidValue, "expires", "An invitation is good for at most %d days, and not over before it begins.", int(longestInvitation.Hours()/24))
	case len(note) > longestNote:
		return agent.Secret{}, store.Invitation{}, agent.ParamError(agent.InvalidValue, "note", "The note is too long: %d bytes are allowed.", longestNote)
	}
	// Checked first and audited second; a failure of the store after that leaves an entry without an invitation, and never the reverse.
	text, hash := mintInvitation()
	now := o.service.cfg.Now()
	i := store.Invitation{ID: agent.NewID("inv_", 16), Hash: hash, Note: note, Created: now, Expires: now.Add(age), Uses: uses}
	if err := o.audit(ctx, "create invitation", i.ID, DescribeInvitation(&i)); err != nil {
		return agent.Secret{}, store.Invitation{}, err
	}
	return text, i, o.service.cfg.Store.AddInvitation(ctx, i)
}

// RevokeInvitation makes an invitation invalid. Accounts that were made with it stay.
func (o *Operator) RevokeInvitation(ctx context.Context, id string) error {
	if _, err := o.service.cfg.Store.Invitation(ctx, id); err != nil {
		return err
	}
	if err := o.audit(ctx, "revoke invitation", id, ""); err != nil {
		return err
	}
	return o.service.cfg.Store.RevokeInvitation(ctx, id, o.service.cfg.Now())
}

// CheckLimits refuses limits that are none. Errors are *agent.Error with the name of the field.
func CheckLimits(l *store.KeyLimits) error {
	for _, s := range l.Surfaces {
		if !slices.Contains(agent.Surfaces, s) {
			return agent.ParamError(agent.InvalidValue, "surfaces", "There is no API %q. There are: %s.", s, strings.Join(agent.Surfaces, ", "))
		}
	}
	for _, m := range l.Models {
		// A pattern that is never well-formed would match nothing, and the key could ask for no
		// model at all.
		if _, err := path.Match(m, ""); err != nil {
			return agent.ParamError(agent.InvalidValue, "models", "%q is not a pattern of models: a [ is not closed.", m)
		}
	}
	for _, n := range []struct {
		name  string
		value float64
	}{
		{"concurrent", float64(l.Concurrent)}, {"requests_per_minute", float64(l.RequestsPerMinute)}, {"tokens_per_minute", float64(l.TokensPerMinute)},
		{"usd_per_day", l.USDPerDay}, {"usd_per_month", l.USDPerMonth},
	} {
		// NaN is neither less nor more than anything.
		if !(n.value >= 0) || math.IsInf(n.value, 0) {
			return agent.ParamError(agent.InvalidValue, n.name, "A limit is a number that is not negative. 0 is no limit.")
		}
	}
	return nil
}
