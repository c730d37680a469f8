/* The load client: thousands of WebSocket connections in one epoll loop.
 *
 * It looks at no more than it must, so that what is measured is the server. A message that holds
 * `@` and 19 digits was due at that CLOCK_MONOTONIC time in nanoseconds; how late each client and
 * the last client had it is kept. With `--arrivals 1` it had it when its kernel had the last of what is
 * read with it, whoever keeps this program from its core, else when this program read it. Commands come
 * on standard input, one a line, and each is answered with one line of JSON: `reset`, `attend`,
 * `expect MESSAGES MILLISECONDS`, `report`.
 * Attending it polls without sleeping until what it expects is there: on loopback whoever sends to a
 * sleeping receiver pays for waking it, which no server does for clients on other machines.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef WITH_TLS
#include <openssl/ssl.h>
#endif

enum { BUFFER = 8 << 20, STAMPS = 1 << 15, TEXT = 1 << 14, STEP_NS = 10000, STEPS = 500000 };
enum state { IDLE, CONNECTING, SHAKING, UPGRADING, JOINING, READY, CLOSED };

struct client {
    int fd;
    void *tls; /* NULL without TLS */
    enum state state;
    int replies;
    int frames;
    int64_t started;
    uint8_t *rest; /* what was received of a frame that is not whole yet */
    size_t rest_size;
};

struct stamp {
    uint64_t due;
    uint64_t count;
    int64_t last;
};

static struct client *clients;
static int client_count, port = 0, at_once = 64, replies_due = 0, is_protocol = 0, is_packed = 0;
static const char *path = "/", *protocol = NULL, *hello = NULL;
static uint8_t *buffer;
static struct stamp stamps[STAMPS];
static uint32_t lateness[STEPS];
static int is_attending, has_arrivals = 0;
static int64_t wall_ahead_ns; /* of the kernel's stamps, which are of CLOCK_REALTIME */
static uint64_t messages, frames, bytes, receipts, expected, mentioned;
static int epoll, ready, closed, failed, opened, in_flight, upgraded;
static int64_t start_ns, upgraded_ns, slowest_ns, deadline_ns;

static int64_t now_of(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t now(void) { return now_of(CLOCK_MONOTONIC); }

/* `at` becomes when the last of it came, if the kernel says so. */
static ssize_t get_plain(struct client *c, void *data, size_t size, int64_t *at) {
    if (!has_arrivals) return recv(c->fd, data, size, 0);
    struct iovec part = {data, size};
    union { struct cmsghdr head; char bytes[256]; } control;
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t got = recvmsg(c->fd, &message, 0);
    if (got <= 0) return got;
    for (struct cmsghdr *head = CMSG_FIRSTHDR(&message); head; head = CMSG_NXTHDR(&message, head))
        if (head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec t;
            memcpy(&t, CMSG_DATA(head), sizeof t);
            *at = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec - wall_ahead_ns;
        }
    return got;
}

/* What one client sends and receives, as `send` and `recv` say it. */
#ifdef WITH_TLS
static SSL_CTX *tls_context;

static ssize_t tls_result(struct client *c, int result) {
    if (result > 0) return result;
    int error = SSL_get_error(c->tls, result);
    errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : ECONNRESET;
    return -1;
}

static ssize_t give(struct client *c, const void *data, size_t size) {
    return c->tls ? tls_result(c, SSL_write(c->tls, data, size)) : send(c->fd, data, size, MSG_NOSIGNAL);
}

static ssize_t get(struct client *c, void *data, size_t size, int64_t *at) {
    return c->tls ? tls_result(c, SSL_read(c->tls, data, size)) : get_plain(c, data, size, at);
}

static int shake(struct client *c) {
    if (!c->tls) {
        c->tls = SSL_new(tls_context);
        SSL_set_fd(c->tls, c->fd);
    }
    return tls_result(c, SSL_connect(c->tls));
}
#else
static ssize_t give(struct client *c, const void *data, size_t size) {
    return send(c->fd, data, size, MSG_NOSIGNAL);
}

static ssize_t get(struct client *c, void *data, size_t size, int64_t *at) {
    return get_plain(c, data, size, at);
}
#endif

static void drop(struct client *c) {
    if (c->state == CLOSED) return;
    if (c->state != READY) { in_flight--; failed++; }
    if (c->state == READY) closed++;
#ifdef WITH_TLS
    if (c->tls) SSL_free(c->tls);
#endif
    close(c->fd);
    free(c->rest);
    c->rest = NULL;
    c->rest_size = 0;
    c->state = CLOSED;
}

static void send_text(struct client *c, const char *text, size_t size) {
    uint8_t frame[TEXT + 16];
    size_t head;
    frame[0] = 0x81;
    if (size < 126) {
        frame[1] = 0x80 | size;
        head = 2;
    } else {
        frame[1] = 0x80 | 126;
        frame[2] = size >> 8;
        frame[3] = size & 255;
        head = 4;
    }
    memset(frame + head, 0, 4); /* a mask of zeros leaves the text as it is */
    memcpy(frame + head + 4, text, size);
    if (give(c, frame, head + 4 + size) < 0 && errno != EAGAIN) drop(c);
}

static void send_pong(struct client *c, const uint8_t *data, size_t size) {
    uint8_t frame[6 + 125] = {0x8a, 0x80 | (uint8_t)size};
    memcpy(frame + 6, data, size);
    if (give(c, frame, 6 + size) < 0) drop(c);
}

static void note_stamp(uint64_t due, int64_t at) {
    uint64_t slot = (due * 11400714819323198485ull) >> 49;
    while (stamps[slot].due && stamps[slot].due != due) slot = (slot + 1) % STAMPS;
    if (!stamps[slot].due) {
        if (mentioned >= STAMPS / 2) return;
        mentioned++;
        stamps[slot].due = due;
    }
    stamps[slot].count++;
    if (at > stamps[slot].last) stamps[slot].last = at; /* who is read last need not have had it last */
    int64_t step = (at - (int64_t)due) / STEP_NS;
    lateness[step < 0 ? 0 : step >= STEPS ? STEPS - 1 : step]++;
    receipts++;
}

static void read_stamps(const uint8_t *text, size_t size, int64_t at) {
    const uint8_t *end = text + size;
    while ((text = memchr(text, '@', end - text)) && end - text >= 20) {
        uint64_t due = 0;
        int i = 1;
        for (; i < 20 && text[i] >= '0' && text[i] <= '9'; i++) due = due * 10 + (text[i] - '0');
        if (i == 20 && due) note_stamp(due, at); /* 0 is what was due at no time: a flood */
        text += i;
    }
}

static void become_ready(struct client *c) {
    c->state = READY;
    in_flight--;
    ready++;
    int64_t took = now() - c->started;
    if (took > slowest_ns) slowest_ns = took;
}

static void count_reply(struct client *c) {
    if (c->state == JOINING && ++c->replies >= replies_due) become_ready(c);
}

/* Lines of the client protocol: a push counts as a message, an empty document is a ping. */
static void take_lines(struct client *c, const uint8_t *text, size_t size) {
    const uint8_t *end = text + size;
    while (text < end && c->state != CLOSED) {
        const uint8_t *newline = memchr(text, '\n', end - text);
        size_t length = (newline ? newline : end) - text;
        if (length == 2) send_text(c, "{}", 2);
        else if (length > 7 && !memcmp(text, "{\"push\"", 7)) messages++;
        else count_reply(c);
        text += length + 1;
    }
}

static void take_frame(struct client *c, int first, const uint8_t *text, size_t size, int64_t at) {
    int opcode = first & 15;
    frames++;
    c->frames++;
    if (opcode == 9) send_pong(c, text, size);
    else if (opcode == 8) drop(c);
    else if (opcode > 2) return;
    else if ((first & 0x40) || opcode == 2) {
        messages++;
        if (c->state == JOINING) become_ready(c);
    } else {
        if (size > 20) read_stamps(text, size, at);
        if (is_protocol) take_lines(c, text, size);
        else messages++;
    }
}

static size_t take_frames(struct client *c, const uint8_t *data, size_t size, int64_t at) {
    size_t taken = 0;
    while (c->state != CLOSED && size - taken >= 2) {
        const uint8_t *head = data + taken;
        size_t length = head[1] & 127, head_size = 2;
        if (length == 126) head_size = 4;
        if (length == 127) head_size = 10;
        if (size - taken < head_size) break;
        if (length == 126) length = head[2] << 8 | head[3];
        else if (length == 127) {
            length = 0;
            for (int i = 2; i < 10; i++) length = length << 8 | head[i];
        }
        if (size - taken < head_size + length) break;
        take_frame(c, head[0], head + head_size, length, at);
        taken += head_size + length;
    }
    return taken;
}

static size_t take_upgrade(struct client *c, uint8_t *data, size_t size) {
    uint8_t *end = memmem(data, size, "\r\n\r\n", 4);
    if (!end) return 0;
    if (memcmp(data, "HTTP/1.1 101", 12)) {
        if (!failed) fprintf(stderr, "the upgrade was refused: %.80s\n", data);
        drop(c);
        return size;
    }
    if (++upgraded == client_count) upgraded_ns = now();
    c->state = JOINING;
    if (hello) send_text(c, hello, strlen(hello));
    if (!hello || (!replies_due && !is_packed)) become_ready(c);
    return end + 4 - data;
}

static void take(struct client *c) {
    if (c->rest_size) memcpy(buffer, c->rest, c->rest_size);
    int64_t at = 0;
    ssize_t got = get(c, buffer + c->rest_size, BUFFER - c->rest_size, &at);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return drop(c);
    if (!at) at = now();
    if (c->state != UPGRADING) bytes += got;
    size_t size = c->rest_size + got, taken = 0;
    if (c->state == UPGRADING) taken = take_upgrade(c, buffer, size);
    if (c->state > UPGRADING && c->state != CLOSED) taken += take_frames(c, buffer + taken, size - taken, at);
    if (c->state == CLOSED) return;
    c->rest_size = size - taken;
    if (c->rest_size) {
        c->rest = realloc(c->rest, c->rest_size);
        memcpy(c->rest, buffer + taken, c->rest_size);
    }
}

static void begin(struct client *c) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) { perror("socket"); exit(1); }
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (has_arrivals) setsockopt(c->fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one);
    c->state = CONNECTING;
    c->started = now();
    in_flight++;
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = c};
    int is_refused = connect(c->fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS;
    if (is_refused) return drop(c);
    epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
}

static void upgrade(struct client *c) {
    char request[1024];
    int length = snprintf(request, sizeof request,
        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s%s%s%s\r\n",
        path, port, is_packed && !protocol ? "Sec-WebSocket-Extensions: permessage-deflate\r\n" : "",
        protocol ? "Sec-WebSocket-Protocol: " : "", protocol ? protocol : "", protocol ? "\r\n" : "");
    c->state = UPGRADING;
    if (give(c, request, length) != length) drop(c);
}

static void go_on(struct client *c) {
    int error = 0;
    socklen_t size = sizeof error;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (c->state == CONNECTING) {
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) return drop(c);
        epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event);
    }
#ifdef WITH_TLS
    c->state = SHAKING;
    if (tls_context && shake(c) < 0) {
        if (errno != EAGAIN) drop(c);
        return;
    }
#endif
    upgrade(c);
}

static void open_more(void) {
    while (opened < client_count && in_flight < at_once) begin(&clients[opened++]);
}

static void reset(void) {
    ready -= closed;
    wall_ahead_ns = now_of(CLOCK_REALTIME) - now();
    messages = frames = bytes = receipts = expected = mentioned = 0;
    closed = 0;
    memset(stamps, 0, sizeof stamps);
    memset(lateness, 0, sizeof lateness);
    puts("{}");
}

static double quantile_ms(double share) {
    uint64_t seen = 0, wanted = (uint64_t)(share * receipts);
    for (int step = 0; step < STEPS; step++)
        if ((seen += lateness[step]) > wanted) return (step + 0.5) * STEP_NS / 1e6;
    return 0;
}

static void report(void) {
    printf("{\"messages\":%lu,\"frames\":%lu,\"bytes\":%lu,\"closed\":%d,\"receipts\":%lu,"
           "\"each_p50_ms\":%.3f,\"each_p99_ms\":%.3f,\"last_ms\":[",
           messages, frames, bytes, closed, receipts, quantile_ms(0.5), quantile_ms(0.99));
    const char *comma = "";
    for (int i = 0; i < STAMPS; i++)
        if (stamps[i].count >= (uint64_t)(ready - closed) && stamps[i].due) {
            printf("%s%.3f", comma, (stamps[i].last - (int64_t)stamps[i].due) / 1e6);
            comma = ",";
        }
    puts("]}");
}

static void answer_expected(void) {
    printf("{\"messages\":%lu}\n", messages);
    expected = is_attending = 0;
}

static void obey(const char *line) {
    unsigned long count, milliseconds;
    if (!strncmp(line, "reset", 5)) reset();
    else if (!strncmp(line, "attend", 6)) { is_attending = 1; puts("{}"); }
    else if (!strncmp(line, "report", 6)) report();
    else if (sscanf(line, "expect %lu %lu", &count, &milliseconds) == 2) {
        expected = count;
        deadline_ns = now() + (int64_t)milliseconds * 1000000;
    }
}

static void read_commands(void) {
    static char text[1024];
    static size_t held;
    ssize_t got = read(0, text + held, sizeof text - held - 1);
    if (got <= 0) exit(0);
    held += got;
    char *line = text, *newline;
    while ((newline = memchr(line, '\n', text + held - line))) {
        *newline = 0;
        obey(line);
        line = newline + 1;
    }
    held -= line - text;
    memmove(text, line, held);
}

static void read_options(int count, char **options) {
    for (int i = 1; i + 1 < count; i += 2) {
        const char *name = options[i], *value = options[i + 1];
        if (!strcmp(name, "--port")) port = atoi(value);
        else if (!strcmp(name, "--clients")) client_count = atoi(value);
        else if (!strcmp(name, "--at-once")) at_once = atoi(value);
        else if (!strcmp(name, "--path")) path = value;
        else if (!strcmp(name, "--hello")) hello = value, is_protocol = 1;
        else if (!strcmp(name, "--replies")) replies_due = atoi(value);
        else if (!strcmp(name, "--arrivals")) has_arrivals = atoi(value);
        else if (!strcmp(name, "--deflate")) is_packed = atoi(value);
#ifdef WITH_TLS
        else if (!strcmp(name, "--tls")) tls_context = atoi(value) ? SSL_CTX_new(TLS_client_method()) : NULL;
#endif
        else if (!strcmp(name, "--protocol")) protocol = value, is_packed = 1;
        else { fprintf(stderr, "no option %s\n", name); exit(2); }
    }
    if (hello && strlen(hello) >= TEXT) { fputs("--hello is too long\n", stderr); exit(2); }
}

static void announce(void) {
    int64_t at = now();
    printf("{\"ready\":%d,\"failed\":%d,\"seconds\":%.6f,\"upgrade_seconds\":%.6f,\"slowest_ms\":%.3f}\n", ready,
           failed, (at - start_ns) / 1e9, upgraded_ns ? (upgraded_ns - start_ns) / 1e9 : 0.0, slowest_ns / 1e6);
}

int main(int count, char **options) {
    read_options(count, options);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    setvbuf(stdout, NULL, _IOLBF, 0);
    buffer = malloc(BUFFER);
    clients = calloc(client_count, sizeof *clients);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event commands = {.events = EPOLLIN, .data.ptr = NULL}, events[256];
    epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &commands);
    start_ns = now();
    int is_announced = 0;
    for (;;) {
        open_more();
        if (!is_announced && ready + failed == client_count) { announce(); is_announced = 1; }
        if (expected && (messages >= expected || now() > deadline_ns)) answer_expected();
        int found = epoll_wait(epoll, events, 256, is_attending ? 0 : expected ? 20 : -1);
        for (int i = 0; i < found; i++) {
            struct client *c = events[i].data.ptr;
            if (!c) read_commands();
            else if (c->state < UPGRADING) go_on(c);
            else if (c->state != CLOSED) take(c);
        }
    }
}
