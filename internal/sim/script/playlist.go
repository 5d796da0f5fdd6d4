package script

import (
	"slices"
	"sync"
)

// A Playlist decides what each run says. The first of these that applies wins:
//
//  0. a model that was set with SetModel: it decides alone
//  1. the script in the run's own prompt: its first turn whose conditions hold, and the default when
//     none does
//  2. the playlist's script: the first turn left whose conditions hold, which is used up by one
//  3. the default answer
//
// A script in a prompt never uses up the playlist, so tests that share a simulator don't disturb each
// other. A Playlist is safe for concurrent use; its zero value has no script.
//
// A Script given to Set is not changed: the turns are copied, because Times is counted down.
type Playlist struct {
	// mu guards both fields.
	mu    sync.Mutex
	turns []Turn // Times is what is left
	model Model
}

// A Model decides what each run says, in place of a script. It is called once for each run, and again for one that is opened
// again, from any goroutine.
type Model func(Facts) []Step

// SetModel makes model decide from now on; nil leaves the script to.
func (l *Playlist) SetModel(model Model) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.model = model
}

// Set replaces what is left to play. A nil script leaves only the default. Runs that have their player
// already keep it.
func (l *Playlist) Set(s *Script) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turns = nil
	if s != nil {
		l.turns = slices.Clone(s.Turns)
	}
}

// Left is how many turns are left; those that are always there count as one. Tests look whether
// all of a script was played.
func (l *Playlist) Left() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.turns)
}

// Player gives a run the turn that it plays. A script in the prompt that can't be parsed is played as
// an error with the parser's message. Each call may use up a turn, so call it once for each run; a run
// that is opened again after a broken stream is asked for again, with Facts.Resume or a higher
// Facts.Attempt.
func (l *Playlist) Player(f Facts) *Player {
	l.mu.Lock()
	model := l.model
	l.mu.Unlock()
	if model != nil {
		return newPlayer(model(f), f)
	}
	// What the model is said to have been asked is the prompt without the script.
	rest, directives, err := fromPrompt(f.Prompt)
	f.Prompt = rest
	if err != nil {
		return newPlayer([]Step{complaint(err.Error())}, f)
	}
	if directives != nil {
		for i := range directives.Turns {
			if directives.Turns[i].fits(&f) {
				return newPlayer(directives.Turns[i].Steps, f)
			}
		}
		return newPlayer(defaultSteps(f), f)
	}
	if t := l.take(&f); t != nil {
		return newPlayer(t.Steps, f)
	}
	return newPlayer(defaultSteps(f), f)
}

// take uses up the first turn left that fits; nil when none does. It returns a copy, because the
// entry may move when another run takes one.
func (l *Playlist) take(f *Facts) *Turn {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.turns {
		t := l.turns[i]
		if !t.fits(f) {
			continue
		}
		switch {
		case t.Times == always:
		case t.Times > 1:
			l.turns[i].Times--
		default:
			l.turns = slices.Delete(l.turns, i, i+1)
		}
		return &t
	}
	return nil
}
