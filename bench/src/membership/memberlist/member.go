// One member of hashicorp/memberlist in a process of its own: the other side of beside.ts.
//
// Says on its output, a line of JSON each, what becomes of the others; answers "counters" and takes
// "lose SHARE" on its input.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io/ioutil"
	"log"
	"math/rand"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

type task struct {
	Name  string   `json:"name"`
	Seeds []string `json:"seeds"`
	// IP:0, or IP:PORT.
	Listen string `json:"listen"`
	// Zero leaves what the LAN preset says.
	PeriodMs      int `json:"periodMs"`
	TimeoutMs     int `json:"timeoutMs"`
	SuspicionMult int `json:"suspicionMult"`
}

var output sync.Mutex

func tell(fields map[string]interface{}) {
	output.Lock()
	defer output.Unlock()
	line, _ := json.Marshal(fields)
	fmt.Println(string(line))
}

// Counts datagrams, and loses a share of them both ways.
type counting struct {
	*memberlist.NetTransport
	packets, bytes uint64
	losesPermille  uint64
	in             chan *memberlist.Packet
}

func (t *counting) loses() bool {
	return uint64(rand.Intn(1000)) < atomic.LoadUint64(&t.losesPermille)
}

func (t *counting) WriteTo(b []byte, addr string) (time.Time, error) {
	return t.WriteToAddress(b, memberlist.Address{Addr: addr})
}

func (t *counting) WriteToAddress(b []byte, addr memberlist.Address) (time.Time, error) {
	if t.loses() {
		return time.Now(), nil
	}
	atomic.AddUint64(&t.packets, 1)
	atomic.AddUint64(&t.bytes, uint64(len(b)))
	return t.NetTransport.WriteToAddress(b, addr)
}

func (t *counting) PacketCh() <-chan *memberlist.Packet { return t.in }

func (t *counting) pump() {
	for packet := range t.NetTransport.PacketCh() {
		if !t.loses() {
			t.in <- packet
		}
	}
}

type events struct{}

func say(node *memberlist.Node, state string) {
	atMs := float64(time.Now().UnixNano()) / 1e6
	tell(map[string]interface{}{"type": "state", "atMs": atMs, "name": node.Name, "state": state})
}

func (events) NotifyJoin(node *memberlist.Node)   { say(node, "alive") }
func (events) NotifyLeave(node *memberlist.Node)  { say(node, "faulty") }
func (events) NotifyUpdate(node *memberlist.Node) {}

func main() {
	var t task
	if err := json.Unmarshal([]byte(os.Args[1]), &t); err != nil {
		log.Fatal(err)
	}
	rand.Seed(time.Now().UnixNano())
	quiet := log.New(ioutil.Discard, "", 0)
	host, _, err := net.SplitHostPort(t.Listen)
	if err != nil {
		log.Fatal(err)
	}
	sockets, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{
		BindAddrs: []string{host}, BindPort: 0, Logger: quiet,
	})
	if err != nil {
		log.Fatal(err)
	}
	transport := &counting{NetTransport: sockets, in: make(chan *memberlist.Packet, 64)}
	go transport.pump()
	config := memberlist.DefaultLANConfig()
	config.Name = t.Name
	config.BindAddr = host
	config.BindPort = sockets.GetAutoBindPort()
	config.AdvertiseAddr = host
	config.AdvertisePort = config.BindPort
	config.Transport = transport
	config.Events = events{}
	config.Logger = quiet
	if t.PeriodMs > 0 {
		config.ProbeInterval = time.Duration(t.PeriodMs) * time.Millisecond
		config.ProbeTimeout = time.Duration(t.TimeoutMs) * time.Millisecond
		config.SuspicionMult = t.SuspicionMult
	}
	list, err := memberlist.Create(config)
	if err != nil {
		log.Fatal(err)
	}
	if len(t.Seeds) > 0 {
		if _, err := list.Join(t.Seeds); err != nil {
			log.Fatal(err)
		}
	}
	address := net.JoinHostPort(host, strconv.Itoa(config.BindPort))
	tell(map[string]interface{}{"type": "ready", "address": address})
	for input := bufio.NewScanner(os.Stdin); input.Scan(); {
		words := strings.Fields(input.Text())
		if len(words) == 2 && words[0] == "lose" {
			share, _ := strconv.ParseFloat(words[1], 64)
			atomic.StoreUint64(&transport.losesPermille, uint64(share*1000))
		} else {
			packets, bytes := atomic.LoadUint64(&transport.packets), atomic.LoadUint64(&transport.bytes)
			tell(map[string]interface{}{"type": "counters", "packetsOut": packets, "bytesOut": bytes})
		}
	}
}
