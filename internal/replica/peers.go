package replica

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/store"
)

// Config is what Peers need.
type Config struct {
	// Address is where other replicas reach this one: "10.0.0.5:8788".
	Address string
	// Secret is what all replicas share; at least MinSecret characters.
	Secret agent.Secret
	// Dial connects to the address of another replica, which has dialTime for it. Nil is TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Store is the database that they share.
	Store Store
	// Awaits returns the ids of the calls whose results a request brings, and whether a run waits for them in this process.
	Awaits func(*agent.Request) (calls []string, here bool)
	// Kept is how long a run waits for results; a call is looked for no longer.
	Kept time.Duration
	// Log gets what fails. Nil discards it.
	Log *slog.Logger
}

// Store is the part of the store that replicas need.
type Store interface {
	store.ParkedCalls
	store.Replicas
}

// Peers are the other replicas, as this one sees them. It is safe for concurrent use. The caller shuts it down.
type Peers struct {
	// cfg doesn't change. identity is what all replicas have in common.
	cfg       Config
	identity  *identity
	transport *http.Transport
	// server answers the others; transport asks them.
	server *http.Server
	lease  *lease        // of this replica
	lost   lost          // replicas that could not be reached just now
	turn   atomic.Uint32 // of replicas in Open
}

// New makes Peers. It connects to nobody; Serve tells the others of this replica.
func New(cfg Config) (*Peers, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Dial == nil {
		cfg.Dial = new(net.Dialer).DialContext
	}
	id, err := newIdentity(cfg.Secret.Reveal())
	if err != nil {
		return nil, err
	}
	return &Peers{cfg: cfg, identity: id, transport: newTransport(id, cfg.Dial), server: newServer(cfg.Log), lease: newLease(cfg.Store, cfg.Address, cfg.Log)}, nil
}

// lookTime bounds how long a request waits for the database here. Without an answer it is carried out by this replica, from
// the transcript: that costs the prompt without upstream's cache, so a database that is only busy is waited for.
const lookTime = 2 * time.Second

// Parked tells the other replicas that a run in this process waits for the results of these calls. It returns when they
// can know, because the results may come at once.
//
// A failure is logged only: the results are then taken by whichever replica gets them, from the transcript.
func (p *Peers) Parked(owner string, calls []string) { p.hold(owner, calls, p.cfg.Kept) }

// Held tells the other replicas that something of owner's is in this process's memory, for that long at most, as Parked does.
func (p *Peers) Held(owner, id string, d time.Duration) { p.hold(owner, []string{id}, d) }

// hold writes down that this replica has the runs that wait for these calls, for the time d from now. It waits for the store,
// lookTime at most; a failure is logged.
func (p *Peers) hold(owner string, calls []string, d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), lookTime)
	defer cancel()
	if !p.lease.held() {
		_ = p.lease.renew(ctx) // else nobody would ask this replica; a store that is away is told of below
	}
	expires := time.Now().Add(d)
	rows := make([]store.ParkedCall, len(calls))
	for i, call := range calls {
		rows[i] = store.ParkedCall{Key: store.NewParkedKey(owner, call), Replica: p.lease.id, Address: p.cfg.Address, Expires: expires}
	}
	if err := p.cfg.Store.PutParkedCalls(ctx, rows); err != nil {
		p.cfg.Log.Warn("other replicas can't know what this one holds", "err", err)
	}
}

// maxLooks bounds how many calls of a request are looked for. The calls of a turn are parked together, so one would do; a
// client may have added others of its own before them.
const maxLooks = 8

// Holder returns the address of the replica that holds the run which waits for req's results; here says that it is this
// one. "" and not here is none, one that is dead or was out of reach just now, or not known: then any may carry out req.
func (p *Peers) Holder(ctx context.Context, req *agent.Request) (address string, here bool) {
	calls, here := p.cfg.Awaits(req)
	if here || len(calls) == 0 {
		return "", here
	}
	return p.find(ctx, req.Caller.Owner, calls[:min(len(calls), maxLooks)], req.Origin.RequestID), false
}

// Open returns the address of another replica that takes new turns, each time of another one. One that could not be reached just
// now is returned only when there is no other: whoever asks has no better place for the turn, and a machine that has much to do
// may not have let that replica answer in time. "" is none, or that the database doesn't say.
func (p *Peers) Open(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	addresses, err := p.cfg.Store.OpenReplicas(ctx)
	if err != nil {
		p.cfg.Log.Warn("which replicas take new turns is not known", "err", err)
		return ""
	}
	first := int(p.turn.Add(1) % store.MaxReplicas)
	last := "" // resort
	for i := range addresses {
		switch address := addresses[(first+i)%len(addresses)]; {
		case address == p.cfg.Address:
		case p.lost.is(address):
			last = address
		default:
			return address
		}
	}
	return last
}

// Drain tells the other replicas that this one takes no new turns any more. What it holds is still asked for here.
func (p *Peers) Drain(ctx context.Context) { p.lease.close(ctx) }

// HolderOf returns the address of the replica that has told of something of owner's by Held. "" is as for Holder.
func (p *Peers) HolderOf(ctx context.Context, owner, id string) string {
	return p.find(ctx, owner, []string{id}, "")
}

// find asks the database. request is for the log.
func (p *Peers) find(ctx context.Context, owner string, ids []string, request string) string {
	keys := make([][32]byte, len(ids))
	for i, id := range ids {
		keys[i] = store.NewParkedKey(owner, id)
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	address, err := p.cfg.Store.ParkedAt(ctx, keys)
	switch {
	case err == nil && address != p.cfg.Address && !p.lost.is(address):
		return address
	case err != nil && !errors.Is(err, store.ErrNotFound):
		p.cfg.Log.Warn("which replica holds a run is not known", "id", request, "err", err)
	}
	return ""
}
