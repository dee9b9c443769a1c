package report

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// ProgressOptions describe a progress report.
type ProgressOptions struct {
	// Label stands in front, for example "search".
	Label string
	// Total is the number of steps; 0 when unknown.
	Total int
	// Done is the number of steps done before, in a resumed run.
	Done int
	// Interactive draws one line over and over; otherwise a plain line is written
	// every Every steps.
	Interactive bool
	// Every is the distance of plain lines; 0 stands for a twentieth of Total.
	Every int
	// Width is that of the terminal; 0 stands for 80.
	Width int
	// Now returns the time; nil stands for time.Now.
	Now func() time.Time
}

// Interactive says whether to draw over a line: on a terminal, unless the
// environment has CI or NO_COLOR set, or TERM=dumb.
func Interactive(terminal bool, getenv func(string) string) bool {
	return terminal && getenv("CI") == "" && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
}

// redraw is the least time between two drawings of the line.
const redraw = 100 * time.Millisecond

// Progress reports the steps of a run. Errors of the writer are ignored: progress
// never stops a run. It is not safe for concurrent use.
type Progress struct {
	w     io.Writer
	o     ProgressOptions
	start time.Time
	drawn time.Time
	open  bool // an unfinished line stands on the terminal
	plain int  // step of the last plain line
	last  int
	info  string
}

// NewProgress starts the clock.
func NewProgress(w io.Writer, o ProgressOptions) *Progress {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Every <= 0 {
		o.Every = max(o.Total/20, 1)
	}
	if o.Width <= 0 {
		o.Width = 80
	}
	return &Progress{w: w, o: o, start: o.Now(), plain: o.Done, last: o.Done}
}

// Update says that step steps are done; info is a short text such as "loss 0.71".
func (p *Progress) Update(step int, info string) {
	p.last, p.info = step, info
	now := p.o.Now()
	if !p.o.Interactive {
		if step/p.o.Every > p.plain/p.o.Every || step == p.o.Total && step != p.plain {
			p.plain = step
			fmt.Fprintln(p.w, p.line(now))
		}
		return
	}
	if !p.drawn.IsZero() && now.Sub(p.drawn) < redraw && step != p.o.Total {
		return
	}
	p.draw(now)
}

func (p *Progress) draw(now time.Time) {
	p.drawn, p.open = now, true
	line := []rune(p.line(now))
	if len(line) > p.o.Width-1 {
		line = line[:p.o.Width-1]
	}
	fmt.Fprintf(p.w, "\r%s\x1b[K", string(line))
}

// Print writes a line of its own, above the bar when there is one.
func (p *Progress) Print(text string) {
	if p.open {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
	fmt.Fprintln(p.w, text)
	if p.open {
		p.draw(p.o.Now())
	}
}

// Finish draws the last state and ends the line.
func (p *Progress) Finish() {
	switch {
	case p.open:
		p.draw(p.o.Now())
		fmt.Fprintln(p.w)
		p.open = false
	case !p.o.Interactive && p.last != p.plain:
		p.plain = p.last
		fmt.Fprintln(p.w, p.line(p.o.Now()))
	}
}

func (p *Progress) line(now time.Time) string {
	var b strings.Builder
	if p.o.Label != "" {
		b.WriteString(p.o.Label + " ")
	}
	elapsed, done := now.Sub(p.start), p.last-p.o.Done
	if p.o.Total > 0 {
		share := min(max(float64(p.last)/float64(p.o.Total), 0), 1)
		if p.o.Interactive {
			const cells = 20
			full := int(share*cells + 1e-9)
			b.WriteString("[" + strings.Repeat("=", full) + strings.Repeat(" ", cells-full) + "] ")
		}
		fmt.Fprintf(&b, "%d/%d %3.0f%%", p.last, p.o.Total, 100*share)
	} else {
		fmt.Fprintf(&b, "%d", p.last)
	}
	if done > 0 && elapsed > 0 {
		rate := float64(done) / elapsed.Seconds()
		fmt.Fprintf(&b, "  %s/s", Short(rate))
		if left := p.o.Total - p.last; left > 0 {
			b.WriteString("  ETA " + Duration(time.Duration(float64(left)/rate*float64(time.Second))))
		} else {
			b.WriteString("  in " + Duration(elapsed))
		}
	}
	if utf8.RuneCountInString(p.info) > 0 {
		b.WriteString("  " + p.info)
	}
	return b.String()
}

// Duration prints for example "45s", "12m03s" or "3h05m".
func Duration(d time.Duration) string {
	s := int64(d.Round(time.Second) / time.Second)
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	}
	return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
}

// Short prints a count with three digits and a unit: "40.6 M", "812", "1.20 k".
func Short(v float64) string {
	units := []string{"", " k", " M", " G", " T", " P"}
	i := 0
	for ; (v >= 999.5 || v <= -999.5) && i < len(units)-1; i++ {
		v /= 1000
	}
	switch a := max(v, -v); {
	case i == 0 && v == float64(int64(v)):
		return fmt.Sprintf("%d", int64(v))
	case a < 9.995:
		return fmt.Sprintf("%.2f%s", v, units[i])
	case a < 99.95:
		return fmt.Sprintf("%.1f%s", v, units[i])
	}
	return fmt.Sprintf("%.0f%s", v, units[i])
}
