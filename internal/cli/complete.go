package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"composer-api/internal/setup"
)

// completeCmd is 'complete', which the scripts of 'completion' ask. It is not for people, and hidden.
type completeCmd struct {
	Word   string   `help:"What stands before the cursor of the word that is being typed."`
	Before []string `arg:"" optional:"" passthrough:"" help:"The words before it, without the program's name, after --."`
}

// Run prints what may stand in the place of the word, one value a line, with a tab before its help. Nothing means that the
// shell should offer files.
func (c *completeCmd) Run(_ context.Context, p *process, parsed *kong.Context) error {
	before := c.Before
	if len(before) > 0 && before[0] == "--" {
		before = before[1:]
	}
	for _, candidate := range complete(parsed.Model.Node, before, c.Word) {
		if _, err := fmt.Fprintf(p.stdout, "%s\t%s\n", candidate.value, candidate.help); err != nil {
			return err
		}
	}
	return nil
}

// A candidate is one thing that may be typed.
// help may be ""; it is the line that zsh and fish show beside the value.
type candidate struct{ value, help string }

// complete lists what may stand after the words before, beginning with word.
//
//	serve --prefer <word>     the flag's values
//	serve --prefer=x          the flag's values, with the flag before each
//	serve --x                 flags
//	upstream <word>           commands, and the arguments' values
func complete(root *kong.Node, before []string, word string) []candidate {
	node, flag, position := walk(root, before)
	var all []candidate
	name, value, assigned := strings.Cut(word, "=")
	switch {
	case flag != nil:
		all = values(flag.Value, "")
	case assigned && strings.HasPrefix(name, "--"):
		if flag := flagNamed(node, name); flag != nil {
			all, word = values(flag.Value, name+"="), name+"="+value
		}
	case strings.HasPrefix(word, "-"):
		all = flags(node)
	default:
		all = append(children(node), arguments(node, position)...)
	}
	return slices.DeleteFunc(all, func(c candidate) bool { return !strings.HasPrefix(c.value, word) })
}

// walk follows the words from root. flag is the one whose value comes next, and position is how many arguments of the command
// were there already. A word that is no command of the node's goes to its default command, if it has one.
func walk(root *kong.Node, words []string) (node *kong.Node, flag *kong.Flag, position int) {
	node = root
	for _, word := range words {
		switch {
		case flag != nil && word == "=": // bash's idea of --flag=value
			continue
		case flag != nil:
			flag = nil
			continue
		case strings.HasPrefix(word, "-"):
			// A flag that takes no value doesn't wait for the next word, and neither does --flag=value, which is no flag's name.
			if f := flagNamed(node, word); f != nil && !f.IsBool() {
				flag = f
			}
			continue
		}
		// Once an argument was there, a word is never a command, even if it is spelled like one.
		i := slices.IndexFunc(node.Children, func(n *kong.Node) bool { return n.Name == word })
		switch {
		case position == 0 && i >= 0:
			node = node.Children[i]
		case node.DefaultCmd != nil:
			node, position = node.DefaultCmd, 1
		default:
			position++
		}
	}
	return node, flag, position
}

// flagNamed is a flag of the node, or of those above it; nil when there is none.
// It is looked for in the default command last: "setup --yes" is short for "setup client --yes".
func flagNamed(node *kong.Node, name string) *kong.Flag {
	for n := node; n != nil; n = n.Parent {
		for _, f := range n.Flags {
			if "--"+f.Name == name || f.Short != 0 && "-"+string(f.Short) == name {
				return f
			}
		}
	}
	if node.DefaultCmd != nil {
		return flagNamed(node.DefaultCmd, name)
	}
	return nil
}

// flags are those that may follow a node.
func flags(node *kong.Node) (all []candidate) {
	if node.DefaultCmd != nil {
		all = flags(node.DefaultCmd)
	}
	for n := node; n != nil; n = n.Parent {
		for _, f := range n.Flags {
			c := candidate{"--" + f.Name, brief(f.Help)}
			// A flag of the default command may be one of the node's, too.
			if !f.Hidden && !slices.Contains(all, c) {
				all = append(all, c)
			}
		}
	}
	return all
}

// children are the commands below a node.
func children(node *kong.Node) (all []candidate) {
	for _, child := range node.Children {
		if !child.Hidden && child != node.DefaultCmd {
			all = append(all, candidate{child.Name, brief(child.Help)})
		}
	}
	return all
}

// arguments are the values of the argument at a position.
func arguments(node *kong.Node, position int) []candidate {
	if node.DefaultCmd != nil {
		node = node.DefaultCmd
	}
	if position >= len(node.Positional) {
		return nil
	}
	return values(node.Positional[position], "")
}

// values are those of a flag or an argument that has a fixed set of them; none for any other.
func values(v *kong.Value, prefix string) (all []candidate) {
	// The tag complete is ours: it names a list that is not an enum.
	if v.Tag.Get("complete") == "clients" {
		for _, client := range setup.Clients() {
			all = append(all, candidate{prefix + client.ID, client.Name})
		}
		return all
	}
	for _, one := range v.EnumSlice() {
		if one != "" {
			all = append(all, candidate{prefix + one, ""})
		}
	}
	return all
}

// brief is the first sentence of a help, for the line beside a candidate.
func brief(help string) string {
	// A dot without a blank behind it, as in an address, ends no sentence.
	first, _, _ := strings.Cut(help, ". ")
	return strings.TrimSuffix(first, ".")
}
