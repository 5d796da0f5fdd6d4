package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"

	"composer-api/internal/agent"
	"composer-api/internal/config"
	"composer-api/internal/gateway/catalog"
	"composer-api/internal/localtoken"
	"composer-api/internal/setup"
)

// What the clients of this machine are told about a gateway: its address, its models, and which key they send.

// An offer is what a client is told of a gateway, and how.
type offer struct {
	gatewayFlags     `embed:""`
	config.CursorKey `embed:""`
	CAFile           string `name:"ca-file" var:"COMPOSER_CA_FILE" placeholder:"FILE" help:"Additional certificate authorities to trust, as PEM, when the gateway is asked for its models."`
	// Model is "" for the list's first. Choose checks that the list has it.
	Model string `placeholder:"ID" help:"The model that the client begins with (default: the first of the gateway's list)."`
	Key   string `enum:"auto,token,env" default:"auto" placeholder:"HOW" help:"What the client gets for a key: token, the local token; env, a reference to the variable CURSOR_API_KEY; auto, the token if the gateway is on this machine and has a key of its own."`
}

// gateway is what clients are told: the models of the gateway if it runs, or else Composer's own; and the token if it would
// be taken. Nothing is written when it is pretend.
//
// The local token means something on this machine only. A gateway elsewhere never sees it unless --key says so.
func (c *offer) gateway(ctx context.Context, p *process, pretend bool) (*setup.Gateway, error) {
	at := c.place(ctx, p)
	// client trusts the certificate of a gateway here; the warning is about clients, which don't.
	client, err := at.client(c.CAFile)
	if err != nil {
		return nil, err
	}
	if err := at.warnOfCertificate(ctx, p, c.CAFile); err != nil {
		return nil, err
	}
	g := &setup.Gateway{Root: at.root, Program: p.program()}
	if at.here || c.Key == "token" {
		g.Models, g.Token, err = c.askHere(ctx, p, client, at.root, pretend)
	} else {
		g.Models = c.askElsewhere(ctx, p, client, at.root)
	}
	if err != nil {
		return nil, err
	}
	// Clients can't be set up without a model. What the catalogue knows by itself is right for
	// most.
	if len(g.Models) == 0 {
		if g.Models, err = builtInModels(ctx); err != nil {
			return nil, err
		}
	}
	if g.Models, err = setup.Choose(g.Models, c.Model); err != nil {
		return nil, &hinted{err, "'composer-api models' lists what there is"}
	}
	return g, nil
}

// askElsewhere asks a gateway on another machine for its models, with the key of the variable, which is what the client will
// send. None means that it did not tell; the person has been told why.
func (c *offer) askElsewhere(ctx context.Context, p *process, client *http.Client, root string) []setup.Model {
	answer, err := setup.Ask(ctx, client, root, c.APIKey.Secret)
	if err != nil {
		fmt.Fprintf(p.stderr, "no gateway answers at %s (%v); composer-api's own list of models is used\n", root, err)
		return nil
	}
	if answer.Status == 401 {
		fmt.Fprintf(p.stderr, "%s does not take the key in CURSOR_API_KEY; set it to the key that you were given for that gateway\n", root)
	}
	return answer.Models
}

// askHere asks a gateway on this machine for its models, which costs nothing upstream, and finds out whether clients get the
// local token. No models means that the list that is built in is right; a zero token, that the client's file refers to
// CURSOR_API_KEY.
//
//	answer to the local token   models           key for clients with "auto"
//	200                         the gateway's    the token
//	401                         asked for again  a reference to CURSOR_API_KEY
//	                              with the key
//	other status                built in         the token
//	nobody answers              built in         the token, if a gateway that is
//	                                             started here would have a key
func (c *offer) askHere(ctx context.Context, p *process, client *http.Client, root string, pretend bool) (models []setup.Model, token agent.Secret, err error) {
	dir, err := p.env.StateDir()
	if err != nil {
		return nil, agent.Secret{}, err
	}
	// The token is made also for --key env: the gateway is asked with it below.
	get := localtoken.ReadOrMake
	if pretend {
		get = readOrPretend
	}
	if token, err = get(dir); err != nil {
		return nil, agent.Secret{}, tokenHint(err)
	}
	key, _, err := serversKey(ctx, p, &c.CursorKey)
	if err != nil {
		return nil, agent.Secret{}, err
	}
	takesToken := true
	switch answer, err := setup.Ask(ctx, client, root, token); {
	case err != nil:
		fmt.Fprintf(p.stderr, "no gateway answers at %s; composer-api's own list of models is used\n", root)
		if key.IsZero() && c.Key == "auto" {
			fmt.Fprintln(p.stderr, "there is no Cursor key here: clients are told to take it from CURSOR_API_KEY, which then has to be set wherever they run. To give it to the gateway alone, type 'composer-api cursor-key set' first, or set CURSOR_API_KEY for 'serve'")
		}
		// It is not running yet. It will take the token if it finds the same key as this command.
		takesToken = !key.IsZero()
	// It runs, and lends no key: httpd refuses the token.
	case answer.Status == 401:
		fmt.Fprintln(p.stderr, "the gateway has no Cursor key of its own: start 'composer-api serve' with CURSOR_API_KEY set, and clients need no key")
		takesToken = false
		// Once more with the user's own key, so that the list is that of the running gateway.
		if answer, err = setup.Ask(ctx, client, root, key); err == nil {
			models = answer.Models
		}
	default:
		models = answer.Models
	}
	if c.Key != "token" && !(c.Key == "auto" && takesToken) {
		token = agent.Secret{}
	}
	return models, token, nil
}

// readOrPretend is a token for what is only shown: nothing is written for a dry run.
//
// The diff masks the token anyway.
func readOrPretend(dir string) (agent.Secret, error) {
	token, err := localtoken.Read(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return agent.NewSecret(localtoken.Prefix + "…"), nil
	}
	return token, err
}

// builtInModels are those that the catalogue has without a network.
//
// Without Fetch the catalogue asks nobody.
func builtInModels(ctx context.Context) ([]setup.Model, error) {
	listed, err := catalog.New(catalog.Config{}).List(ctx, agent.Caller{})
	if err != nil {
		return nil, err
	}
	var models []setup.Model
	for _, m := range listed {
		models = append(models, setup.Model{ID: m.ID, Name: m.DisplayName, Context: m.ContextWindow})
	}
	return models, nil
}
