package doctor

import (
	"context"
	"time"
)

// Cursor's published bridge, the upstream of most people. It is started as serve starts it, with a private folder of its own.

// bridge starts Cursor's bridge once, if the gateway would use it, asks it for a sign of life, and ends it.
func bridge(ctx context.Context, s *Subject, r *report) {
	b := &s.Bridge
	reinstall := "'composer-api upstream remove', then 'composer-api upstream install'"
	if b.Named != "" {
		reinstall = "'unset " + b.Named + "' and 'composer-api upstream install' for one that works, or put a whole one into the folder that it names"
	}
	switch {
	case b.Wrong != nil:
		r.broken(b.Wrong.Cure, "%s", b.Wrong.Text)
		return
	case !b.Wanted:
		r.ok("it is not needed: another upstream is configured")
		return
	case b.Missing:
		r.broken("'composer-api upstream install'", "no upstream is configured, and Cursor's bridge is not installed")
		return
	}
	// b.Try ends the bridge again. It needs no key and asks no model.
	began := time.Now()
	ready, err := b.Try(ctx)
	if err != nil {
		r.broken(reinstall, "version %s in %s does not work: %v", b.Version, b.Dir, err)
		return
	}
	r.okAfter(began, "version %s works, ready after %v", b.Version, ready.Round(time.Millisecond))
	// It works, but a person should know what it may do.
	if b.Unconfined {
		r.warn("use a Linux kernel with Landlock (5.13 or later) and remove COMPOSER_SDK_BRIDGE_CONFINE=off",
			"the bridge is not confined (%s): it runs what Cursor's server asks it to, as this user", b.Confinement)
		return
	}
	r.ok("confined by %s", b.Confinement)
}
