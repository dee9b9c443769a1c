package main

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
)

// helpText is a command's help: an example on top, then its options in groups, a line each.
func helpText(c *cli.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "entangle %s: %s\n\n", strings.TrimSpace(c.Name+" [OPTIONS] "+c.ArgsUsage), c.Usage)
	if c.UsageText != "" {
		fmt.Fprintf(&b, "    %s\n\n", c.UsageText)
	}
	if c.Description != "" {
		b.WriteString(c.Description + "\n\n")
	}
	width := 0
	for _, f := range c.VisibleFlags() {
		width = max(width, utf8.RuneCountInString(flagNames(f)))
	}
	groups := append(append([]string{}, groups...), "")
	for _, group := range groups {
		title := group
		for _, f := range c.VisibleFlags() {
			if cat, ok := f.(cli.CategorizableFlag); !ok || cat.GetCategory() != group {
				continue
			}
			if title != "" {
				b.WriteString(title + "\n")
				title = ""
			}
			names := flagNames(f)
			fmt.Fprintf(&b, "  %s%s  %s\n", names, strings.Repeat(" ", width-utf8.RuneCountInString(names)), flagUsage(f))
		}
		if title == "" && group != "" && !strings.HasSuffix(b.String(), "\n\n") {
			b.WriteString("\n")
		}
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// flagNames prints an option as it is given.
func flagNames(f cli.Flag) string {
	var names []string
	for _, n := range f.Names() {
		if len(n) == 1 {
			names = append(names, "-"+n)
		} else {
			names = append([]string{"--" + n}, names...)
		}
	}
	text := strings.Join(names, ", ")
	if d, ok := f.(cli.DocGenerationFlag); ok && d.TakesValue() {
		text += " " + strings.ToUpper(strings.ReplaceAll(f.Names()[0], "-", "_"))
	}
	return text
}

// flagUsage prints what an option means, and its default.
func flagUsage(f cli.Flag) string {
	d, ok := f.(cli.DocGenerationFlag)
	if !ok {
		return ""
	}
	text := d.GetUsage()
	if def := strings.Trim(d.GetDefaultText(), `"`); d.TakesValue() && def != "" {
		text += " (" + def + ")"
	}
	return text
}
