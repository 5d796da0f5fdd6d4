package session

import (
	"strings"
	"testing"
	"time"

	"composer-api/internal/store/sqlstore"
)

func newSessions(t testing.TB, now *time.Time) (*Sessions, *sqlstore.DB) {
	t.Helper()
	clock := func() time.Time { return *now }
	db, err := sqlstore.Open(t.Context(), sqlstore.Config{DSN: sqlstore.Memory(), Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return New(db, clock), db
}

func TestASessionIsFoundByItsCookieUntilItEnds(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s, _ := newSessions(t, &now)
	first, err := s.Begin(t.Context(), "a:1", "")
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.Begin(t.Context(), "a:1", "key_2")
	if err != nil {
		t.Fatal(err)
	}
	one, _ := s.Find(t.Context(), first)
	two, _ := s.Find(t.Context(), second)
	if one == nil || two == nil || one.Owner != "a:1" || one.KeyID != "" || two.KeyID != "key_2" || one.Form == two.Form || !one.Fits(one.Form) || one.Fits(two.Form) || one.Fits("") {
		t.Fatalf("%+v %+v", one, two)
	}
	// The same secret under another owner is another session.
	if found, err := s.Find(t.Context(), encoding.EncodeToString([]byte("a:2"))+first[strings.Index(first, "."):]); found != nil || err != nil {
		t.Errorf("%+v %v", found, err)
	}
	if err := s.End(t.Context(), one); err != nil {
		t.Error(err)
	}
	if found, _ := s.Find(t.Context(), first); found != nil {
		t.Error("an ended session is found")
	}
	now = now.Add(Age)
	if found, _ := s.Find(t.Context(), second); found != nil {
		t.Error("an old session is found")
	}
}

func TestAnOwnerHasSoManySessions(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s, _ := newSessions(t, &now)
	var cookies []string
	for range most + 1 {
		now = now.Add(time.Second)
		c, err := s.Begin(t.Context(), "a:1", "")
		if err != nil {
			t.Fatal(err)
		}
		cookies = append(cookies, c)
	}
	for i, c := range cookies {
		if found, err := s.Find(t.Context(), c); err != nil || (found != nil) != (i > 0) {
			t.Errorf("%d: %+v %v", i, found, err)
		}
	}
}

func TestANewTokenOfTheOperatorVoidsTheOldOneAndItsSessions(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s, db := newSessions(t, &now)
	if has, err := s.HasToken(t.Context()); has || err != nil {
		t.Errorf("%t %v", has, err)
	}
	old, err := MintToken(t.Context(), db, now)
	if err != nil {
		t.Fatal(err)
	}
	cookie, err := s.Begin(t.Context(), Operator, "")
	if err != nil {
		t.Fatal(err)
	}
	// A session's secret is no token, and a token no session.
	if is, _ := s.IsToken(t.Context(), tokenPrefix+cookie[strings.Index(cookie, ".")+1:]); is {
		t.Error("a session is a token")
	}
	if found, _ := s.Find(t.Context(), encoding.EncodeToString([]byte(Operator))+"."+strings.TrimPrefix(old.Reveal(), tokenPrefix)); found != nil {
		t.Error("the token is a session")
	}
	if is, err := s.IsToken(t.Context(), " "+old.Reveal()+"\n"); !is || err != nil {
		t.Errorf("%t %v", is, err)
	}
	next, err := MintToken(t.Context(), db, now)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{old.Reveal(): false, next.Reveal(): true, "": false, tokenPrefix: false, next.Reveal() + "A": false, strings.TrimPrefix(next.Reveal(), tokenPrefix): false} {
		if is, err := s.IsToken(t.Context(), text); is != want || err != nil {
			t.Errorf("%t %v, want %t", is, err, want)
		}
	}
	if found, _ := s.Find(t.Context(), cookie); found != nil {
		t.Error("a session outlives the token")
	}
}

// Whatever is sent as a cookie, it is a session or none.
func FuzzFind(f *testing.F) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s, _ := newSessions(f, &now)
	f.Add("a.b")
	f.Add(encoding.EncodeToString([]byte("a:1")) + "." + encoding.EncodeToString(make([]byte, 32)))
	f.Fuzz(func(t *testing.T, cookie string) {
		if found, err := s.Find(t.Context(), cookie); found != nil || err != nil {
			t.Errorf("%+v %v", found, err)
		}
	})
}
