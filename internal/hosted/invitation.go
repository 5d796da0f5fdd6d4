package hosted

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"composer-api/internal/agent"
	"composer-api/internal/store"
)

// Invitations: who may sign up where Config.Entry is Invitation. One is a text that the operator gives to people, and that
// is shown once; the store has its hash.

// invitationPrefix begins every invitation, so that nobody takes it for a key.
const invitationPrefix = "cmpinvite_"

// invitationSize is how many random bytes one has: enough that its hash needs no salt, and short enough for a letter.
const invitationSize = 18

// mintInvitation makes an invitation.
func mintInvitation() (agent.Secret, [32]byte) {
	var random [invitationSize]byte
	rand.Read(random[:])
	text := invitationPrefix + base64.RawURLEncoding.EncodeToString(random[:])
	return agent.NewSecret(text), sha256.Sum256([]byte(text))
}

// signUpRule is who may have a new account now: whoever brings this invitation, where one is asked for.
func (s *Service) signUpRule(invitation string) store.SignUpRule {
	rule := store.SignUpRule{Closed: s.cfg.Entry == Invitation || s.cfg.Entry == Closed, At: s.cfg.Now()}
	// The hash of no text at all is no row's, but a text is asked for all the same.
	if text := strings.TrimSpace(invitation); text != "" && s.cfg.Entry == Invitation {
		rule.Invitation = sha256.Sum256([]byte(text))
	}
	return rule
}

// notInvited is the error for whoever may not sign up. Why an invitation is no good is not said: unknown ones are to look
// like the others.
func (s *Service) notInvited(invitation string) error {
	switch {
	case s.cfg.Entry == Closed:
		return agent.Errorf(agent.PermissionDenied, "This server takes no new accounts. Use your own Cursor API key as the bearer token, or ask the operator.")
	case strings.TrimSpace(invitation) == "":
		return agent.ParamError(agent.PermissionDenied, "invitation", "This server takes new accounts by invitation only. Send your invitation along, or ask the operator for one.")
	}
	return agent.ParamError(agent.PermissionDenied, "invitation", "This invitation is not known, or it is used up, revoked or over. Ask the operator for another.")
}
