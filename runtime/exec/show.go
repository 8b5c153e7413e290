package exec

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// lineEvery is how often a step says where it is when no bar can be drawn.
const lineEvery = 5 * time.Second

// show tells the user how one step gets on: a bar on a terminal, a line now
// and then elsewhere.
type show struct {
	out   io.Writer
	label string

	mu      sync.Mutex
	begin   time.Time
	last    time.Time // of the latest report
	first   int64     // done at the first report: a resumed step does not begin at 0
	started bool
	n, all  int64
	note    string
	names   []string
	values  map[string]float64

	crowd *crowd // where the step runs with others, of which one bar or line tells
	place int    // in crowd

	bars *mpb.Progress
	bar  *mpb.Bar
	quit chan struct{}
	gone sync.WaitGroup
}

func newShow(out io.Writer, terminal bool, label, estimate string) *show {
	s := &show{out: out, label: label, begin: time.Now(), values: map[string]float64{}, quit: make(chan struct{})}
	if terminal {
		s.bars = mpb.New(mpb.WithOutput(out), mpb.WithWidth(30), mpb.WithRefreshRate(200*time.Millisecond))
		s.bar = s.bars.AddBar(0, mpb.BarRemoveOnComplete(),
			mpb.PrependDecorators(decor.Name(label+" ")),
			mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return " " + s.line() })))
		return s
	}
	if estimate != "" {
		fmt.Fprintf(out, "%s: %s\n", label, estimate)
	}
	s.gone.Add(1)
	go func() {
		defer s.gone.Done()
		t := time.NewTicker(lineEvery)
		defer t.Stop()
		for {
			select {
			case <-s.quit:
				return
			case <-t.C:
				fmt.Fprintf(out, "%s: %s\n", label, s.line())
			}
		}
	}()
	return s
}

// line is the state in words: 34%, 120 of 350, loss 1.23, 40 s left.
func (s *show) line() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var parts []string
	passed := time.Since(s.begin).Seconds()
	if s.all > 0 {
		parts = append(parts, fmt.Sprintf("%d%%", 100*s.n/s.all))
		if s.note == "" {
			parts = append(parts, fmt.Sprintf("%d of %d", s.n, s.all))
		}
	}
	if s.note != "" {
		parts = append(parts, s.note)
	}
	if s.note == "" {
		for _, k := range s.names {
			parts = append(parts, fmt.Sprintf("%s %.4g", k, s.values[k]))
		}
	}
	if did := s.n - s.first; s.all > 0 && did > 0 && passed > 2 {
		each := s.last.Sub(s.begin).Seconds() / float64(did)
		left := each*float64(s.all-s.n) - time.Since(s.last).Seconds()
		parts = append(parts, Duration(max(left, 0))+" left")
	} else {
		parts = append(parts, Duration(passed))
	}
	return strings.Join(parts, ", ")
}

func (s *show) progress(done, total int64, note string) {
	if s.crowd != nil {
		s.crowd.progress(s.place, done, total, note)
		return
	}
	s.mu.Lock()
	if !s.started {
		s.started, s.first, s.begin = true, done, time.Now()
	}
	s.n, s.all, s.note, s.last = done, total, note, time.Now()
	s.mu.Unlock()
	if s.bar != nil && total > 0 {
		// mpb completes a bar that reaches its total; ours ends with close.
		s.bar.SetTotal(total+1, false)
		s.bar.SetCurrent(min(done, total))
	}
}

func (s *show) metric(name string, v float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.values[name]; !ok {
		s.names = append(s.names, name)
	}
	s.values[name] = v
}

func (s *show) log(line string) {
	if s.crowd != nil && !s.crowd.news(line) {
		return
	}
	if s.bars != nil {
		_, _ = s.bars.Write([]byte(s.label + ": " + line + "\n"))
		return
	}
	fmt.Fprintf(s.out, "%s: %s\n", s.label, line)
}

// crowd tells how steps that run as one get on: what is done of all.
type crowd struct {
	whole *show

	mu          sync.Mutex
	done, total []int64
	said        string // the last line of a log, which all may say
}

// split gives each of the named steps a show of its own, for its log and its
// metrics, whose progress counts into s.
func (s *show) split(labels []string) []*show {
	c := &crowd{whole: s, done: make([]int64, len(labels)), total: make([]int64, len(labels))}
	var out []*show
	for i, label := range labels {
		out = append(out, &show{out: s.out, label: label, begin: s.begin, values: map[string]float64{}, quit: make(chan struct{}), bars: s.bars, crowd: c, place: i})
	}
	return out
}

func (c *crowd) progress(i int, done, total int64, note string) {
	c.mu.Lock()
	c.done[i], c.total[i] = done, total
	var n, all int64
	for j := range c.done {
		n += c.done[j]
		if c.total[j] == 0 { // not heard of yet
			all += total
		}
		all += c.total[j]
	}
	c.mu.Unlock()
	c.whole.progress(n, all, note)
}

// news tells whether a line is not the one that another step has just said.
func (c *crowd) news(line string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	again := line == c.said
	c.said = line
	return !again
}

// close ends the bar or the lines; nothing is written afterwards but done.
func (s *show) close() {
	select {
	case <-s.quit:
		return
	default:
		close(s.quit)
	}
	if s.bar != nil {
		s.bar.Abort(true)
		s.bars.Wait()
	}
	s.gone.Wait()
}

// done says that the step has ended and what it took; of a short one without
// anything to tell the footer is enough.
func (s *show) done(ran Ran) {
	if ran.Seconds < 0.5 && !ran.Resumed && len(s.names) == 0 {
		return
	}
	text := "done in " + Duration(ran.Seconds)
	if ran.Resumed {
		text += " after a resume"
	}
	for _, k := range s.names {
		text += fmt.Sprintf(", %s %.4g", k, s.values[k])
	}
	fmt.Fprintf(s.out, "%s: %s\n", s.label, text)
}
