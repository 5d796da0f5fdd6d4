package cli

import (
	"context"
	"fmt"
	"text/tabwriter"

	"composer-api/internal/config"
	"composer-api/internal/gateway/catalog"
	"composer-api/internal/httpd"
)

// modelsCmd shows what a key may use and what it costs.
type modelsCmd struct {
	config.PublicAPI `embed:""`
	config.CursorKey `embed:""`
}

// Help is what --help prints below the command's line.
func (modelsCmd) Help() string {
	return "The key comes from the variable CURSOR_API_KEY, or from a file (CURSOR_API_KEY_FILE), and is shown to Cursor's public API alone: no upstream is needed. Prices are in US dollars for a million tokens."
}

// Run prints the models as a table, with prices in US dollars for a million tokens. The key is a variable and no argument,
// which other users of the machine could read. It fails when Cursor can't be reached: the catalogue's own list would say
// nothing about the key.
func (c *modelsCmd) Run(ctx context.Context, p *process) error {
	key, _, err := serversKey(ctx, p, &c.CursorKey)
	if err != nil {
		return err
	}
	// Without a key Cursor would answer 401, and the error would not say which variable is missing.
	if key.IsZero() {
		return &config.Error{Name: "CURSOR_API_KEY", Problem: "is not set", Hint: "create a key in the Cursor dashboard under Integrations, and set the variable to it"}
	}
	client, err := newHTTPClient(c.CAFile)
	if err != nil {
		return err
	}
	// A catalogue of its own for one call: nothing is cached between commands.
	models, err := catalog.New(catalog.Config{Fetch: modelsFrom(newAuth(&c.PublicAPI, "", client))}).List(ctx, httpd.DirectCaller(key.Reveal()))
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "MODEL\tNAME\tASKED FOR AS\tCONTEXT\tINPUT\tCACHED\tOUTPUT")
	// "ASKED FOR AS" is what the gateway sends upstream for the model of that line: an id and its
	// parameters.
	for _, m := range models {
		// Prices are our table's, not Cursor's answer, which has none.
		price := catalog.Price(m.Upstream)
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n", m.ID, m.DisplayName, m.Upstream, m.ContextWindow,
			dollars(price.Input), dollars(price.CacheRead), dollars(price.Output))
	}
	return w.Flush()
}

// dollars is a price for people; a dash when it isn't known. It is rounded to cents, of a million tokens.
func dollars(usd float64) string {
	// No model is free: 0 is a price that our table lacks.
	if usd == 0 {
		return "-"
	}
	return fmt.Sprintf("$%.2f", usd)
}
