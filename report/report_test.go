package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var sample = []Record{
	{Version: 1, Kind: "run", Text: map[string]string{"model": "a.onnx"}},
	{Version: 1, Kind: "step", Step: 1, Values: Values{"loss/val": 0.9, "loss/train": 1.5, "norm": Number(math.Inf(1))}},
	{Version: 1, Kind: "alpha", Step: 1, Coefficients: []Coefficients{{Dimension: "conv<1>", Choices: []string{"8", "16"}, Values: []Number{0.5, 0.5}}}},
	{Version: 1, Kind: "step", Step: 2, Epoch: 1, Values: Values{"loss/train": 1.25, "norm": 3}},
	{Version: 1, Kind: "alpha", Step: 2, Epoch: 1, Coefficients: []Coefficients{{Dimension: "conv<1>", Choices: []string{"8", "16"}, Values: []Number{0.9, 0.1}}}},
}

func writeAll(t *testing.T, l *Log, records []Record) {
	t.Helper()
	for _, r := range records {
		if err := l.Write(r); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLogRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.jsonl")
	l, err := CreateLog(path)
	if err != nil {
		t.Fatal(err)
	}
	writeAll(t, l, sample)
	text, err := os.ReadFile(path) // before Close: a killed run loses nothing
	if err != nil || int64(len(text)) != l.Size() {
		t.Fatalf("want %d bytes in the file, got %d, %v", l.Size(), len(text), err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := ReadLog(bytes.NewReader(text))
	if err != nil || !reflect.DeepEqual(got, sample) {
		t.Errorf("want %v, got %v, %v", sample, got, err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
}

func TestNotFiniteNumbers(t *testing.T) {
	r := Record{Version: 1, Kind: "step", Values: Values{"a": Number(math.NaN()), "b": Number(math.Inf(-1))}}
	text, err := json.Marshal(r)
	if err != nil || !strings.Contains(string(text), `"a":"NaN","b":"-Inf"`) {
		t.Fatalf("got %s, %v", text, err)
	}
	var back Record
	if err := json.Unmarshal(text, &back); err != nil || !math.IsNaN(float64(back.Values["a"])) || !math.IsInf(float64(back.Values["b"]), -1) {
		t.Errorf("got %v, %v", back, err)
	}
	if json.Unmarshal([]byte(`"high"`), new(Number)) == nil {
		t.Error("want an error for a word")
	}
}

func TestResumeDropsWhatCameLater(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.jsonl")
	l, err := CreateLog(path)
	if err != nil {
		t.Fatal(err)
	}
	writeAll(t, l, sample[:3])
	size := l.Size()
	writeAll(t, l, sample[3:])
	l.Close()
	if l, err = ResumeLog(path, size); err != nil {
		t.Fatal(err)
	}
	writeAll(t, l, sample[3:4])
	l.Close()
	text, _ := os.ReadFile(path)
	if got, err := ReadLog(bytes.NewReader(text)); err != nil || !reflect.DeepEqual(got, sample[:4]) {
		t.Errorf("want 4 records, got %v, %v", got, err)
	}
	if _, err := ResumeLog(path, 1<<20); err == nil {
		t.Error("want an error for a log shorter than its checkpoint says")
	}
}

func TestResumeDropsAHalfLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.jsonl")
	whole := `{"v":1,"kind":"step","step":1,"epoch":0}` + "\n"
	for _, half := range []string{"", `{"v":1,"ki`, strings.Repeat("x", 9000)} {
		if err := os.WriteFile(path, []byte(whole+half), 0o666); err != nil {
			t.Fatal(err)
		}
		l, err := ResumeLog(path, int64(len(whole+half)))
		if err != nil {
			t.Fatal(err)
		}
		writeAll(t, l, []Record{{Kind: "step", Step: 2}})
		l.Close()
		text, _ := os.ReadFile(path)
		if got, err := ReadLog(bytes.NewReader(text)); err != nil || len(got) != 2 || got[1].Step != 2 {
			t.Errorf("half line of %d bytes: want 2 records, got %v, %v", len(half), got, err)
		}
	}
}

func TestPlotsSeparateStagesAndDropRepeats(t *testing.T) {
	rec := func(stage, kind string, step int, loss float64) Record {
		return Record{Kind: kind, Step: step, Text: map[string]string{"stage": stage}, Values: Values{"loss": Number(loss), "lr": 0, "seconds": 1}}
	}
	plots := Plots([]Record{
		rec("search", "step", 1, 9), rec("search", "step", 2, 8), rec("search", "eval", 2, 7), rec("search", "step", 3, 6.5),
		rec("search", "step", 2, 6), rec("search", "eval", 2, 5.5), // resumed at step 2
		rec("tune", "step", 1, 4),
	})
	want := []Plot{{"loss", []Series{
		{"search", []float64{1, 2}, []float64{9, 6}, "search", false, nil, false},
		{"search eval", []float64{2}, []float64{5.5}, "search", true, nil, false},
		{"tune", []float64{1}, []float64{4}, "tune", false, nil, false},
	}}}
	if !reflect.DeepEqual(plots, want) {
		t.Errorf("want %v, got %v", want, plots)
	}
}

func TestReadLogFaults(t *testing.T) {
	good := `{"v":1,"kind":"step","step":1,"epoch":0}` + "\n"
	if got, err := ReadLog(strings.NewReader(good + good[:20])); err != nil || len(got) != 1 {
		t.Errorf("want the half line of a killed run skipped, got %v, %v", got, err)
	}
	for say, text := range map[string]string{
		"line 2":            good + "{\n",
		"want version 1":    `{"v":2}` + "\n",
		"want version 1 to": `{"kind":"x"}` + "\n",
	} {
		if _, err := ReadLog(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%q: want an error that says %q, got %v", text, say, err)
		}
	}
}

func TestTable(t *testing.T) {
	tab := Table{Title: "Sizes", Columns: []Column{{Name: "model"}, {Name: "MACs", Key: "macs", Right: true}}}
	tab.Add("größe", 12)
	tab.Add("a|b", "3.5")
	tab.Add("short")
	for _, c := range []struct {
		write func(io.Writer) error
		want  string
	}{
		{tab.Text, "Sizes\nmodel  MACs\n-----  ----\ngröße    12\na|b     3.5\nshort\n"},
		{tab.Markdown, "**Sizes**\n\n| model | MACs |\n| ----- | ---: |\n| größe |   12 |\n| a\\|b  |  3.5 |\n| short |      |\n"},
		{tab.JSON, "[\n  {\"model\": \"größe\", \"macs\": \"12\"},\n  {\"model\": \"a|b\", \"macs\": \"3.5\"},\n  {\"model\": \"short\", \"macs\": \"\"}\n]\n"},
	} {
		var b strings.Builder
		if err := c.write(&b); err != nil || b.String() != c.want {
			t.Errorf("want\n%s\ngot\n%s\n%v", c.want, b.String(), err)
		}
	}
	var b strings.Builder
	if (&Table{}).JSON(&b); b.String() != "[]\n" {
		t.Errorf("want an empty list, got %q", b.String())
	}
}

type clock struct{ now time.Time }

func (c *clock) tick(d time.Duration) { c.now = c.now.Add(d) }

func TestPlainProgress(t *testing.T) {
	var b strings.Builder
	c := &clock{time.Unix(0, 0)}
	p := NewProgress(&b, ProgressOptions{Label: "search", Total: 10, Every: 4, Now: func() time.Time { return c.now }})
	for i := 1; i <= 10; i++ {
		c.tick(2 * time.Second)
		p.Update(i, "loss 1")
	}
	p.Finish()
	want := "search 4/10  40%  0.50/s  ETA 12s  loss 1\nsearch 8/10  80%  0.50/s  ETA 4s  loss 1\nsearch 10/10 100%  0.50/s  in 20s  loss 1\n"
	if b.String() != want {
		t.Errorf("want\n%sgot\n%s", want, b.String())
	}
}

func TestResumedProgressCountsItsOwnSteps(t *testing.T) {
	var b strings.Builder
	c := &clock{time.Unix(0, 0)}
	p := NewProgress(&b, ProgressOptions{Total: 100, Done: 90, Every: 5, Now: func() time.Time { return c.now }})
	c.tick(5 * time.Second)
	p.Update(95, "")
	if want := "95/100  95%  1/s  ETA 5s\n"; b.String() != want {
		t.Errorf("want %q, got %q", want, b.String())
	}
}

func TestBar(t *testing.T) {
	var b strings.Builder
	c := &clock{time.Unix(0, 0)}
	p := NewProgress(&b, ProgressOptions{Total: 4, Interactive: true, Width: 40, Now: func() time.Time { return c.now }})
	c.tick(time.Second)
	p.Update(1, "x")
	c.tick(10 * time.Millisecond)
	p.Update(2, "too soon to draw")
	p.Print("a note")
	c.tick(time.Second)
	p.Update(4, "a text that does not fit into the width of the terminal")
	p.Finish()
	lines := strings.Split(b.String(), "\r")
	if want := "[=====               ] 1/4  25%  1/s  ETA 3s  x"[:39]; !strings.HasPrefix(lines[1], want) {
		t.Errorf("want %q, got %q", want, lines[1])
	}
	if strings.Count(b.String(), "too soon") != 0 || !strings.Contains(b.String(), "a note\n") || !strings.HasSuffix(b.String(), "\n") {
		t.Errorf("got %q", b.String())
	}
	for _, l := range lines {
		for _, part := range strings.Split(l, "\n") {
			if n := len(strings.TrimSuffix(part, "\x1b[K")); n > 39 {
				t.Errorf("line of %d columns on a terminal of 40: %q", n, part)
			}
		}
	}
}

func TestInteractive(t *testing.T) {
	env := func(name, value string) func(string) string {
		return func(n string) string {
			if n == name {
				return value
			}
			return ""
		}
	}
	if !Interactive(true, env("", "")) || Interactive(false, env("", "")) {
		t.Error("want the terminal to decide")
	}
	for _, name := range []string{"CI", "NO_COLOR"} {
		if Interactive(true, env(name, "1")) {
			t.Errorf("want %s to turn the bar off", name)
		}
	}
	if Interactive(true, env("TERM", "dumb")) {
		t.Error("want no bar on a dumb terminal")
	}
}

func TestShortAndDuration(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 7: "7", 999: "999", 1000: "1.00 k", 40.55e6: "40.5 M", 999.6e3: "1.00 M", -2500: "-2.50 k", 0.257: "0.26", 123.4: "123"} {
		if got := Short(v); got != want {
			t.Errorf("%v: want %q, got %q", v, want, got)
		}
	}
	for d, want := range map[time.Duration]string{0: "0s", 59600 * time.Millisecond: "1m00s", 723 * time.Second: "12m03s", 11100 * time.Second: "3h05m"} {
		if got := Duration(d); got != want {
			t.Errorf("%v: want %q, got %q", d, want, got)
		}
	}
}

func TestPlotsAndCurves(t *testing.T) {
	plots := Plots(sample)
	want := []Plot{
		{"loss", []Series{{"train", []float64{1, 2}, []float64{1.5, 1.25}, "train", false, nil, false}, {"val", []float64{1}, []float64{0.9}, "val", false, nil, false}}},
		{"norm", []Series{{"norm", []float64{1, 2}, []float64{math.Inf(1), 3}, "norm", false, nil, false}}},
	}
	if !reflect.DeepEqual(plots, want) {
		t.Errorf("want %v, got %v", want, plots)
	}
	var b strings.Builder
	if err := Curves(&b, sample); err != nil {
		t.Fatal(err)
	}
	if want := "stage,kind,step,epoch,loss/train,loss/val,norm\n,step,1,0,1.5,0.9,+Inf\n,step,2,1,1.25,,3\n"; b.String() != want {
		t.Errorf("want\n%sgot\n%s", want, b.String())
	}
}

func TestPage(t *testing.T) {
	s := Summary{
		Title:   "a <b>",
		Facts:   []Fact{{"model", "x & y"}},
		Compare: []Comparison{{"MACs", "40 M", "20 M", "−50 %"}},
		Tables:  []Table{{Title: "Stages", Columns: []Column{{Name: "stage"}}, Rows: [][]string{{"inherited"}}}},
		Widths: []Width{{Node: "conv1", Dimension: "width", Before: 16, After: 8}, {Node: "heads", Dimension: "width", Before: 3, After: 2, Gone: true}, {Node: "few", Dimension: "width", Before: 4, After: 1},
			{Node: "join", Dimension: "operations", Before: 3, After: 1, Remains: "separable<"}},
		Notes: []string{"<script>alert(1)</script>"},
		Front: []Plot{{"macs", []Series{{"accuracy", []float64{1, 0.5}, []float64{90, 88}, "front", true, []string{"original", "macs<0.5"}, false}}}},
	}
	var b bytes.Buffer
	if err := HTML(&b, sample, s); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, part := range []string{"a &lt;b&gt;", "x &amp; y", "−50 %", "inherited", "conv&lt;1&gt;", `width:50.0%`, `<td class="right">gone</td><td><div class="bar"><div style="width:0.0%">`, `width:25.0%`, `separable&lt;</td>`, `width:33.3%`, "<svg", ">macs&lt;0.5</text>", ">original</text>", "step 1 to 2", "0.900", "&lt;script&gt;"} {
		if !strings.Contains(page, part) {
			t.Errorf("want %q in the page", part)
		}
	}
	for _, part := range []string{"http://", "https://", "<script", "NaN", "ZgotmplZ", "src="} {
		if strings.Contains(page, part) {
			t.Errorf("want no %q in the page", part)
		}
	}
	for rest := page; ; {
		_, after, ok := strings.Cut(rest, "<svg")
		if !ok {
			break
		}
		drawing, tail, _ := strings.Cut(after, "</svg>")
		rest = tail
		d := xml.NewDecoder(strings.NewReader("<svg" + drawing + "</svg>"))
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("drawing is not well formed: %v", err)
			}
		}
	}
	var again bytes.Buffer
	if err := HTML(&again, sample, s); err != nil || again.String() != page {
		t.Error("want the same page twice")
	}
	if err := HTML(&b, nil, Summary{}); err != nil {
		t.Errorf("empty run: %v", err)
	}
}

func TestLineBreaksAndThinning(t *testing.T) {
	s := Series{Name: "x"}
	for i := range 5000 {
		s.X = append(s.X, float64(i))
		s.Y = append(s.Y, math.Sin(float64(i)/300))
	}
	for i := 2000; i < 2100; i++ {
		s.Y[i] = math.NaN()
	}
	svg := lineSVG(Plot{"p", []Series{s}}, colours{})
	_, path, _ := strings.Cut(svg, `class="line"`)
	if n := strings.Count(path, "M"); n != 2 {
		t.Errorf("want the line broken in two by the gap, got %d pieces", n)
	}
	if n := strings.Count(path, "L"); n > maxPoints || n < maxPoints/2 {
		t.Errorf("want at most %d points, got %d", maxPoints, n)
	}
	if svg := lineSVG(Plot{"p", []Series{{Name: "x", X: []float64{1}, Y: []float64{math.NaN()}}}}, colours{}); !strings.Contains(svg, "no finite") {
		t.Errorf("got %s", svg)
	}
	// Dots are not joined, and one far above the others is hollow.
	many := Series{Name: "d", Family: "d", Dots: true, X: []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, Y: []float64{1, 2, 1, 2, 1, 2, math.Inf(1), 2, 1, 2, 1e6}}
	if svg := lineSVG(Plot{"p", []Series{many}}, colours{}); strings.Count(svg, "<circle") != 10 || strings.Count(svg, `fill="none"`) != 1 || strings.Contains(svg, `class="line`) || strings.Contains(svg, "e+06") {
		t.Errorf("want 10 dots, one of them hollow, and no line: %s", svg)
	}
	if svg := lineSVG(Plot{"p", []Series{{Name: "x", X: []float64{5}, Y: []float64{2}}}}, colours{}); !strings.Contains(svg, "<circle") {
		t.Errorf("want a dot for a single point, got %s", svg)
	}
}

func TestColoursFollowStages(t *testing.T) {
	rec := func(stage, kind string, step int, v Values) Record {
		return Record{Kind: kind, Step: step, Text: map[string]string{"stage": stage}, Values: v}
	}
	var b strings.Builder
	err := HTML(&b, []Record{
		rec("search", "step", 1, Values{"loss": 2, "alpha_loss": 3}), rec("search", "step", 2, Values{"loss": 1, "alpha_loss": 2}),
		rec("tune", "step", 1, Values{"loss": 2}), rec("tune", "eval", 1, Values{"accuracy": 0.5}), rec("tune", "eval", 2, Values{"accuracy": 0.6}),
	}, Summary{})
	if err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for text, want := range map[string]int{
		"alpha loss": 2, "alpha_loss": 0, // a heading and the drawing's label
		`stroke="` + palette[0]: 2, `stroke="` + palette[1]: 2, `stroke="` + palette[2]: 0,
		`class="line scored"`: 1, `<circle`: 2 + 1, `class="key scored"`: 1, // two scores; "tune" has one step
	} {
		if n := strings.Count(page, text); n != want {
			t.Errorf("want %d of %q in the page, got %d", want, text, n)
		}
	}
}

func TestTicks(t *testing.T) {
	if got := ticks(0, 1, 5); !reflect.DeepEqual(got, []float64{0, 0.2, 0.4, 0.6000000000000001, 0.8, 1}) {
		t.Errorf("got %v", got)
	}
	if got := ticks(93, 1207, 6); !reflect.DeepEqual(got, []float64{200, 400, 600, 800, 1000, 1200}) {
		t.Errorf("got %v", got)
	}
}
