package parking

import (
	"testing"

	"composer-api/conformance/harness"
)

func TestTheNextTurnSendsOnlyWhatIsNew(t *testing.T) {
	t.Parallel()
	sim, gateway := start(t, `
turn
text I am Composer.
turn
text I don't know yours.
`)
	c := newChat(t, gateway).user("Who are you?")
	first := c.send()
	first.want(t, "new", "I am Composer.")
	c.user("Who am I?")
	second := c.send()
	second.want(t, "memory", "I don't know yours.")
	runs := sim.AwaitIdle()
	if len(runs) != 2 || !runs[1].Continued || runs[1].Prompt != "Who am I?" || runs[1].ConversationID != runs[0].ConversationID {
		t.Errorf("the prompt of the second turn is %q\n%s", runs[len(runs)-1].Prompt, harness.Summary(runs))
	}
}

func TestAChangedHistoryIsNotContinued(t *testing.T) {
	t.Parallel()
	sim, gateway := start(t, `
turn
text I am Composer.
turn
text I am somebody else.
`)
	c := newChat(t, gateway).user("Who are you?")
	c.send()
	c.messages[1].Content = "I am nobody."
	c.user("Who are you really?")
	second := c.send()
	second.want(t, "transcript", "I am somebody else.")
	runs := sim.AwaitIdle()
	if len(runs) != 2 || runs[1].Continued || runs[1].ConversationID == runs[0].ConversationID {
		t.Errorf("it was continued\n%s", harness.Summary(runs))
	}
}

func TestConversationsThatBeginAlikeStayApart(t *testing.T) {
	t.Parallel()
	sim, gateway := start(t, `
turn
text One.
turn
text Two.
turn when prompt "to the first"
text Of one.
turn when prompt "to the second"
text Of two.
`)
	first, second := newChat(t, gateway).user("A number?"), newChat(t, gateway).user("A number?")
	first.send()
	second.send()
	b := second.user("This goes to the second.").send()
	a := first.user("This goes to the first.").send()
	a.want(t, "memory", "Of one.")
	b.want(t, "memory", "Of two.")
	runs := sim.AwaitIdle()
	if runs[0].ConversationID == runs[1].ConversationID ||
		runs[2].ConversationID != runs[1].ConversationID || runs[3].ConversationID != runs[0].ConversationID {
		t.Errorf("the conversations were mixed\n%s", harness.Summary(runs))
	}
}

func TestALostBlobStartsAfresh(t *testing.T) {
	t.Parallel()
	sim, gateway := start(t, `
turn
set-blob notes Something to keep.
text I noted it.
turn
get-blob something-else
text never said
turn
text afresh
`)
	c := newChat(t, gateway).user("Note it.")
	c.send()
	c.user("What did you note?")
	if again := c.send(); again.Content != "afresh" {
		t.Errorf("the answer is %q", again.Content)
	}
	runs := sim.AwaitIdle()
	if len(runs) != 3 || !runs[1].Continued || runs[2].Continued {
		t.Errorf("want a run that is continued, and then one that isn't\n%s", harness.Summary(runs))
	}
}

func TestBlobsLiveAsLongAsTheConversation(t *testing.T) {
	t.Parallel()
	sim, gateway := start(t, `
turn
set-blob notes Something to keep.
text I noted it.
turn
get-blob notes
text I still have it.
`)
	c := newChat(t, gateway).user("Note it.")
	c.send()
	second := c.user("What did you note?").send()
	second.want(t, "memory", "I still have it.")
	wantEnds(t, sim, "well", "well")
}
