package storetest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"composer-api/internal/store"
)

// The exam's questions about who may sign up, and how often somebody may try something.

// invitation makes one with every field set; its hash is that of its id.
func invitation(id string, uses int64) store.Invitation {
	return store.Invitation{ID: id, Hash: sha256.Sum256([]byte(id)), Note: "for Ada", Created: epoch, Expires: at(24 * time.Hour), Uses: uses}
}

// with is how somebody with the invitation signs up, at a time.
func with(id string, t time.Time) store.SignUpRule {
	return store.SignUpRule{Closed: true, Invitation: sha256.Sum256([]byte(id)), At: t}
}

// invitationCases are about invitations, and about sign-ups where only those who have one may come in.
var invitationCases = []examCase{
	// Two invitations of one hash would be one secret with two limits.
	{name: "invitations are listed newest first, and revoked once", run: func(e *exam) {
		first, second := invitation("inv_1", 1), invitation("inv_2", 5)
		second.Created = at(time.Hour)
		e.ok(e.AddInvitation(e.ctx, first))
		e.ok(e.AddInvitation(e.ctx, second))
		e.fails(e.AddInvitation(e.ctx, first), store.ErrConflict)
		same := invitation("inv_3", 1)
		same.Hash = first.Hash
		e.fails(e.AddInvitation(e.ctx, same), store.ErrConflict)
		e.same(get[[]store.Invitation](e)(e.ListInvitations(e.ctx, 10)), []store.Invitation{second, first})
		e.same(get[[]store.Invitation](e)(e.ListInvitations(e.ctx, 1)), []store.Invitation{second})
		e.same(get[store.Invitation](e)(e.Invitation(e.ctx, "inv_2")), second)
		_, err := e.Invitation(e.ctx, "inv_9")
		e.fails(err, store.ErrNotFound)
		e.ok(e.RevokeInvitation(e.ctx, "inv_1", at(time.Minute)))
		// The first revocation counts.
		e.ok(e.RevokeInvitation(e.ctx, "inv_1", at(time.Hour)))
		e.fails(e.RevokeInvitation(e.ctx, "inv_9", epoch), store.ErrNotFound)
		first.Revoked = at(time.Minute)
		e.same(get[store.Invitation](e)(e.Invitation(e.ctx, "inv_1")), first)
		e.same(get[[]store.Invitation](e)(e.ListInvitations(e.ctx, 10)), []store.Invitation{second, first})
	}},
	// Whoever gets in must be let in by an invitation that is good then, and each counts.
	{name: "a closed sign-up opens to an invitation as often as it says", run: func(e *exam) {
		e.ok(e.AddInvitation(e.ctx, invitation("inv_1", 2)))
		// Each try brings a key of its own: its id has the exam's time in it, which is why the time is moved between two tries of one.
		enter := func(name string, rule store.SignUpRule) error {
			_, err := e.SignUp(e.ctx, account("acct_"+name), key("key_"+name+fmt.Sprint(e.now.UnixNano()), "acct_"+name), rule)
			return err
		}
		// None, an unknown one, and one whose end has come.
		e.fails(enter("a", store.SignUpRule{Closed: true, At: epoch}), store.ErrNotInvited)
		e.fails(enter("a", with("inv_9", epoch)), store.ErrNotInvited)
		e.fails(enter("a", with("inv_1", at(24*time.Hour))), store.ErrNotInvited) // its end
		_, err := e.Account(e.ctx, "acct_a")
		e.fails(err, store.ErrNotFound)
		e.ok(enter("a", with("inv_1", epoch)))
		e.ok(enter("b", with("inv_1", at(24*time.Hour-time.Millisecond))))
		e.fails(enter("c", with("inv_1", epoch)), store.ErrNotInvited)
		e.same(get[[]store.Invitation](e)(e.ListInvitations(e.ctx, 10))[0].Used, int64(2))
		// Who is in needs none, and uses none up.
		e.pass(time.Second)
		e.ok(enter("a", store.SignUpRule{Closed: true, At: epoch}))
		e.ok(e.AddInvitation(e.ctx, invitation("inv_2", 2)))
		e.pass(time.Second)
		e.ok(enter("a", with("inv_2", epoch)))
		// An open sign-up asks for none.
		e.ok(enter("d", store.SignUpRule{}))
		e.ok(e.RevokeInvitation(e.ctx, "inv_2", epoch))
		e.fails(enter("e", with("inv_2", epoch)), store.ErrNotInvited)
		e.same(get[[]store.Invitation](e)(e.ListInvitations(e.ctx, 10))[1].Used, int64(0))
	}},
	// A sign-up that fails must not cost the invitation.
	{name: "an invitation is used together with the account", run: func(e *exam) {
		signUp(e, account("acct_1"), key("key_1", "acct_1"))
		e.ok(e.AddInvitation(e.ctx, invitation("inv_1", 1)))
		_, err := e.SignUp(e.ctx, account("acct_2"), key("key_1", "acct_2"), with("inv_1", epoch))
		e.fails(err, store.ErrConflict)
		// The only use is still there.
		_, err = e.SignUp(e.ctx, account("acct_2"), key("key_2", "acct_2"), with("inv_1", epoch))
		e.ok(err)
	}},
	// Somebody shares a link, and many try it at the same moment.
	{name: "many with one invitation at once, on two replicas: as many get in as it says", run: func(e *exam) {
		e.ok(e.AddInvitation(e.ctx, invitation("inv_1", 7)))
		replicas := []store.Store{e.Store, e.open()}
		var refused atomic.Int32
		e.together(20, func(i int) error {
			id := fmt.Sprint("acct_", i)
			_, err := replicas[i%2].SignUp(e.ctx, account(id), key("key_of_"+id, id), with("inv_1", epoch))
			if errors.Is(err, store.ErrNotInvited) {
				refused.Add(1)
				return nil
			}
			return err
		})
		// Twenty have tried, and seven may.
		e.same(refused.Load(), int32(13))
		e.same(len(get[[]store.Account](e)(e.ListAccounts(e.ctx, "", 100))), 7)
	}},
	// A person presses the button twice, and has one invitation.
	{name: "one person twice at once with an invitation for one", run: func(e *exam) {
		e.ok(e.AddInvitation(e.ctx, invitation("inv_1", 1)))
		replicas := []store.Store{e.Store, e.open()}
		e.together(10, func(i int) error {
			_, err := replicas[i%2].SignUp(e.ctx, account("acct_1"), key(fmt.Sprint("key_", i), "acct_1"), with("inv_1", epoch))
			return err
		})
	}},
	// It stays for a while, so that an operator can see who was let in by it.
	{name: "an invitation is swept away long after its end", run: func(e *exam) {
		e.ok(e.AddInvitation(e.ctx, invitation("inv_1", 1)))
		e.pass(24*time.Hour + store.InvitationAge - time.Millisecond)
		e.same(get[int64](e)(e.Sweep(e.ctx)), int64(0))
		e.pass(time.Millisecond)
		e.same(get[int64](e)(e.Sweep(e.ctx)), int64(1))
	}},
}

// attemptCases are about how often somebody may try something within a time, which bounds sign-ups and guesses.
var attemptCases = []examCase{
	// A window that slides: an attempt makes room exactly when it leaves the window. A refused one takes no room.
	{name: "so many attempts within a window, and no more", run: func(e *exam) {
		try := func(who byte, d time.Duration) time.Time {
			return get[time.Time](e)(e.CountAttempt(e.ctx, store.Attempt{Who: [32]byte{who}, At: at(d), Window: time.Hour, Most: 2}))
		}
		e.same(try(1, 0), time.Time{})
		e.same(try(1, time.Minute), time.Time{})
		e.same(try(1, 2*time.Minute), at(time.Hour))
		e.same(try(2, 2*time.Minute), time.Time{}) // somebody else
		e.same(try(1, time.Hour-time.Millisecond), at(time.Hour))
		e.same(try(1, time.Hour), time.Time{})
		e.same(try(1, time.Hour), at(time.Hour+time.Minute))
	}},
	// The limit is for all replicas together.
	{name: "many attempts at once, on two replicas: not one too many", run: func(e *exam) {
		replicas := []store.Store{e.Store, e.open()}
		var refused atomic.Int32
		e.together(20, func(i int) error {
			again, err := replicas[i%2].CountAttempt(e.ctx, store.Attempt{Who: [32]byte{1}, At: epoch, Window: time.Hour, Most: 5})
			if !again.IsZero() {
				refused.Add(1)
			}
			return err
		})
		// Twenty have tried, and five may.
		e.same(refused.Load(), int32(15))
	}},
	// Otherwise each address that was ever seen would leave a row behind.
	{name: "attempts are swept away when they count no longer", run: func(e *exam) {
		get[time.Time](e)(e.CountAttempt(e.ctx, store.Attempt{Who: [32]byte{1}, At: epoch, Window: time.Hour, Most: 5}))
		e.pass(time.Hour - time.Millisecond)
		e.same(get[int64](e)(e.Sweep(e.ctx)), int64(0))
		e.pass(time.Millisecond)
		e.same(get[int64](e)(e.Sweep(e.ctx)), int64(1))
	}},
}
