package memstore

import (
	"context"

	"composer-api/internal/store"
)

// OpenSession implements store.Sessions.
func (s *Store) OpenSession(ctx context.Context, v store.Session) (store.Session, error) {
	done, err := s.begin(ctx)
	if err != nil {
		return store.Session{}, err
	}
	defer done()
	v.Expires = stamp(v.Expires)
	// In SQL this is an insert that does nothing when there is a row, and a read after it.
	if old, known := s.db.sessions[v.Key]; known && !s.db.over(old.Expires) {
		// The first who opened the session has chosen the agent. The row's end is the new one all
		// the same: every use moves it on.
		v.AgentID = old.AgentID
	}
	s.db.sessions[v.Key] = v
	return v, nil
}

// Session implements store.Sessions.
func (s *Store) Session(ctx context.Context, k store.SessionKey) (store.Session, error) {
	done, err := s.begin(ctx)
	if err != nil {
		return store.Session{}, err
	}
	defer done()
	v, known := s.db.sessions[k]
	if !known || s.db.over(v.Expires) {
		return store.Session{}, store.ErrNotFound
	}
	return v, nil
}

// PutSession implements store.Sessions.
func (s *Store) PutSession(ctx context.Context, v store.Session) error {
	done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	v.Expires = stamp(v.Expires)
	s.db.sessions[v.Key] = v
	return nil
}

// DeleteSession implements store.Sessions.
func (s *Store) DeleteSession(ctx context.Context, k store.SessionKey) error {
	done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	// No error when there is none: to forget what isn't known is what the caller wanted.
	delete(s.db.sessions, k)
	return nil
}
