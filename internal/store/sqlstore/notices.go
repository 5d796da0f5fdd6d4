package sqlstore

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"composer-api/internal/store"
	"composer-api/internal/store/notice"
)

// Notices: those who wait for a change (store.Watcher) are told of it. Within a process that is a call; between processes
// PostgreSQL's LISTEN and NOTIFY do it, on one connection for each process, the wire.
//
//	a write is committed ──► telling ──► hub: those who wait here
//	                                └──► wire.announce ── NOTIFY, many topics at once ──► PostgreSQL
//	PostgreSQL ── a connection that listens ──► wire.hear ──► hub: those who wait here
//
// A notice is sent after the commit and not in the transaction: PostgreSQL lets transactions that notify commit only one
// after the other, and with each the disk would be waited for. So a process that dies between the two tells nobody, as one
// that loses its connection does. Whoever waits looks now and then by itself (store.Watch).
//
// A payload is the sender's name and topics, with spaces between. A probe's only word begins with "?".

// telling tells those who wait for t, unless err says that nothing has changed, and returns err. After an error that leaves
// it open it tells, too.
func (db *DB) telling(t notice.Topic, err error) error {
	if err == nil || errors.Is(err, store.ErrUnavailable) {
		db.hub.Tell(t)
		if db.wire != nil {
			db.wire.announce(t)
		}
	}
	return err
}

// WatchResponse implements store.Watcher. With the first watch a process begins to listen. On SQLite, watches in other
// processes are not told: they are never complete.
func (db *DB) WatchResponse(ref store.ResponseRef, withEvents bool) store.Watch {
	if db.wire != nil {
		db.wire.begin()
	}
	return db.hub.WatchResponse(ref, withEvents)
}

const (
	// channel is what processes listen on and notify. It is one for each database of the server.
	channel = "composer_api"
	// maxPayload is how many topics go into one notice: PostgreSQL takes less than 8,000 bytes.
	maxPayload = 300
	// maxPending bounds what waits to be announced. What is more is not announced.
	maxPending = 10_000
	// announceTime bounds a NOTIFY.
	announceTime = 3 * time.Second

	// probeEvery is how often a listener looks whether notices still arrive, and probeTime how long one may take. It finds
	// out what no connection tells: that there is a pooler in between, or that it leads to the server of before a failover.
	probeEvery = 15 * time.Second
	probeTime  = 5 * time.Second
	// listenAgain is the pause before the next try to listen; after a try at which no notice arrived it is deafAgain, because
	// a pooler stays a pooler.
	listenAgain = time.Second
	deafAgain   = 5 * time.Minute
)

// errDeaf: the database takes LISTEN, and its notices don't arrive.
var errDeaf = errors.New("notices of the database don't arrive")

// A wire is a process's way to tell others, and to hear from them. It has two goroutines: one that listens, from the first
// watch to close, and one that announces, while there is something to be announced.
type wire struct {
	// db, cfg, name, log, ctx and stop are set by newWire and don't change.
	db   *DB
	cfg  *pgx.ConnConfig // of the connection that listens
	name string          // of this process on its notices, which it need not hear itself
	log  *slog.Logger
	ctx  context.Context // done with close
	stop context.CancelFunc
	work sync.WaitGroup

	mu sync.Mutex // protects what follows
	// closed refuses new work. listening says that begin has started the listener, announcing that the announcer runs.
	closed     bool
	listening  bool
	announcing bool
	// pending are topics to announce, each once however often it was told.
	pending map[notice.Topic]bool
}

// newWire makes a wire to the database at dsn, for announcements of db. It does not connect.
func newWire(dsn string, db *DB, log *slog.Logger) (*wire, error) {
	cfg, _, err := postgresConfig(dsn)
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	w := &wire{db: db, cfg: cfg, name: rand.Text()[:8], log: log, pending: map[notice.Topic]bool{}}
	w.ctx, w.stop = context.WithCancel(context.Background())
	return w, nil
}

// close ends both goroutines and waits for them, announceTime at most. What is not announced yet is not any more: a process
// that ends has closed all that others could wait for before.
func (w *wire) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.stop()
	w.work.Wait()
}

// announce tells other processes of a topic, soon. It never waits.
func (w *wire) announce(t notice.Topic) {
	w.mu.Lock()
	defer w.mu.Unlock()
	// Dropping is no loss of data: who waits looks by itself, only later.
	if w.closed || len(w.pending) >= maxPending {
		return
	}
	w.pending[t] = true
	if !w.announcing {
		w.announcing = true
		w.work.Go(w.announceAll)
	}
}

// announceAll announces until nothing is left. What comes while a notice is on its way goes with the next one, so a busy
// process sends few. What can't be sent is forgotten.
func (w *wire) announceAll() {
	for {
		w.mu.Lock()
		topics := slices.Collect(maps.Keys(w.pending))
		clear(w.pending)
		// Under mu, like announce's look at it: a topic that comes after this starts a new announcer.
		w.announcing = len(topics) > 0
		w.mu.Unlock()
		if len(topics) == 0 {
			return
		}
		for some := range slices.Chunk(topics, maxPayload) {
			if w.ctx.Err() != nil {
				break // closed
			}
			words := make([]string, len(some))
			for i, t := range some {
				words[i] = string(t)
			}
			if err := w.notify(strings.Join(words, " ")); err != nil {
				w.log.Debug("other processes were not told of a change", "err", err)
			}
		}
	}
}

// notify sends a notice by the pool. A notice that is on its way is not broken off by close, which waits for it: pgx would send
// the server a request to cancel it, and PgBouncer 1.18 ends ("server in bad state") when it is to cancel something on a
// connection that the server closes meanwhile.
func (w *wire) notify(words string) (err error) {
	defer recovered(&err)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), announceTime)
	defer cancel()
	_, err = w.db.write.ExecContext(ctx, `SELECT pg_notify($1, $2)`, channel, w.name+" "+words)
	return w.db.failure(ctx, err)
}

// begin starts to listen, once.
func (w *wire) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed && !w.listening {
		w.listening = true
		w.work.Go(w.listen)
	}
}

// listen keeps a connection that listens until close. It says once when notices don't come, and once when they come again.
func (w *wire) listen() {
	silent := false
	for {
		// It is complete from the first notice that arrives, and not from LISTEN: a pooler takes that, too.
		err := w.session(func() {
			if silent {
				w.log.Info("what other replicas change is told again at once")
			}
			silent = false
			w.db.hub.SetComplete(true)
		})
		// Whoever waits hears of it, and looks by itself from now on.
		w.db.hub.SetComplete(false)
		if w.ctx.Err() != nil {
			return
		}
		pause := listenAgain
		if errors.Is(err, errDeaf) {
			pause = deafAgain
		}
		// Once, and not at each try: a pooler stays one for as long as the process lives.
		if !silent {
			silent = true
			w.log.Warn("what other replicas change is looked for every half second, because the database doesn't tell of it; "+
				"hint: behind a pooler of transactions such as PgBouncer, set COMPOSER_DB_LISTEN to a URL of the database that leads past it", "err", err)
		}
		select {
		case <-w.ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// session listens on one connection until it breaks, or notices no longer arrive on it. It calls works when the first has
// arrived: from then on nothing goes by.
func (w *wire) session(works func()) (err error) {
	defer recovered(&err)
	// A connection of its own: one of the pool may be closed or given to somebody else at any time.
	conn, err := pgx.ConnectConfig(w.ctx, w.cfg) // it gives each host its time
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), time.Second)
		defer cancel()
		err = cmp.Or(err, conn.Close(closing))
	}()
	starting, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), announceTime) // as notify does
	_, err = conn.Exec(starting, "LISTEN "+channel)
	cancel()
	if err != nil {
		return err
	}
	for {
		// Sent by the pool and awaited here, so it takes the way of the other processes' notices.
		probe := "?" + rand.Text()
		if err := w.notify(probe); err != nil {
			return err
		}
		switch heard, err := w.hear(conn, probeTime, probe); {
		case err != nil:
			return err
		case !heard:
			return errDeaf
		}
		works()
		if _, err := w.hear(conn, probeEvery, ""); err != nil {
			return err
		}
	}
}

// hear tells those who wait here of what other processes announce: for a time, or until a probe of this process arrives, and
// says whether it has. The error is that the connection is gone.
func (w *wire) hear(conn *pgx.Conn, d time.Duration, probe string) (heard bool, err error) {
	ctx, cancel := context.WithTimeout(w.ctx, d)
	defer cancel()
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			if ctx.Err() != nil && !conn.IsClosed() {
				err = nil // the time is over, and the connection is good
			}
			return false, cmp.Or(err, w.ctx.Err())
		}
		words := strings.Fields(n.Payload)
		// Our own writes were told within the process, when they were made.
		if len(words) < 2 || words[0] == w.name {
			if probe != "" && slices.Contains(words, probe) {
				return true, nil
			}
			continue
		}
		for _, word := range words[1:] {
			w.db.hub.Tell(notice.Topic(word))
		}
	}
}
