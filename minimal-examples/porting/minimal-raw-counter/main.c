/* Counts the lines of each client, and those of all clients of the vhost. */

#include <libwebsockets.h>
#include <signal.h>
#include <stdlib.h>

struct pss {
	uint64_t lines;
};

struct vhd {
	struct lws_context *context;
	struct lws_vhost *vhost;
	const struct lws_protocols *protocol;
	lws_sorted_usec_list_t sul;
	lws_usec_t report, idle;
	uint64_t max_lines, lines;
	unsigned int sessions;
};

static struct lws_context *context;
static volatile sig_atomic_t interrupted;

static void
report(lws_sorted_usec_list_t *sul)
{
	struct vhd *vhd = lws_container_of(sul, struct vhd, sul);

	lwsl_user("%u clients, %llu lines\n", vhd->sessions,
		  (unsigned long long)vhd->lines);
	lws_callback_on_writable_all_protocol_vhost(vhd->vhost, vhd->protocol);
	lws_sul_schedule(vhd->context, 0, &vhd->sul, report, vhd->report);
}

static uint64_t
number(void *in, const char *name, uint64_t unless_told)
{
	const char *value;

	if (lws_pvo_get_str(in, name, &value))
		return unless_told;
	return strtoull(value, NULL, 10);
}

static int
callback_line_counter(struct lws *wsi, enum lws_callback_reasons reason,
		      void *user, void *in, size_t len)
{
	struct pss *pss = user;
	struct vhd *vhd = lws_protocol_vh_priv_get(lws_get_vhost(wsi),
						   lws_get_protocol(wsi));
	uint8_t buf[LWS_PRE + 80], *start = buf + LWS_PRE;
	size_t i;
	int n;

	switch (reason) {
	case LWS_CALLBACK_PROTOCOL_INIT:
		vhd = lws_protocol_vh_priv_zalloc(lws_get_vhost(wsi),
						  lws_get_protocol(wsi),
						  sizeof(*vhd));
		if (!vhd)
			return -1;
		vhd->context = lws_get_context(wsi);
		vhd->vhost = lws_get_vhost(wsi);
		vhd->protocol = lws_get_protocol(wsi);
		vhd->report = number(in, "report-secs", 5) * LWS_US_PER_SEC;
		vhd->idle = number(in, "idle-secs", 60) * LWS_US_PER_SEC;
		vhd->max_lines = number(in, "max-lines", 1000);
		lws_sul_schedule(vhd->context, 0, &vhd->sul, report,
				 vhd->report);
		break;

	case LWS_CALLBACK_PROTOCOL_DESTROY:
		if (vhd)
			lws_sul_cancel(&vhd->sul);
		break;

	case LWS_CALLBACK_RAW_ADOPT:
		vhd->sessions++;
		lws_set_timer_usecs(wsi, vhd->idle);
		lws_callback_on_writable(wsi);
		break;

	case LWS_CALLBACK_RAW_CLOSE:
		vhd->sessions--;
		break;

	case LWS_CALLBACK_RAW_RX:
		for (i = 0; i < len; i++)
			if (((const char *)in)[i] == '\n') {
				pss->lines++;
				vhd->lines++;
			}
		lws_set_timer_usecs(wsi, vhd->idle);
		lws_callback_on_writable(wsi);
		break;

	case LWS_CALLBACK_RAW_WRITEABLE:
		n = lws_snprintf((char *)start, sizeof(buf) - LWS_PRE,
				 "%llu of %llu lines\n",
				 (unsigned long long)pss->lines,
				 (unsigned long long)vhd->lines);
		if (lws_write(wsi, start, (size_t)n, LWS_WRITE_RAW) < n)
			return -1;
		if (pss->lines >= vhd->max_lines)
			return -1; /* that was all: closes */
		break;

	case LWS_CALLBACK_TIMER:
		lwsl_user("idle: closing\n");
		return -1;

	default:
		return lws_callback_http_dummy(wsi, reason, user, in, len);
	}

	return 0;
}

static const struct lws_protocols protocols[] = {
	{ "line-counter", callback_line_counter, sizeof(struct pss), 0, 0, NULL, 0 },
	{ NULL, NULL, 0, 0, 0, NULL, 0 }
};

static const struct lws_protocol_vhost_options
	pvo2 = { NULL, NULL, "max-lines", "5" },
	pvo1 = { &pvo2, NULL, "report-secs", "3" },
	pvo = { NULL, &pvo1, "line-counter", "" };

static void
on_signal(int sig)
{
	interrupted = 1;
	lws_cancel_service(context);
}

int
main(int argc, const char **argv)
{
	struct lws_context_creation_info info = { 0 };
	int level = LLL_ERR | LLL_WARN | LLL_NOTICE | LLL_USER;
	const char *p;

	info.port = 7681;
	if ((p = lws_cmdline_option(argc, argv, "-d")))
		level = atoi(p);
	if ((p = lws_cmdline_option(argc, argv, "--port")))
		info.port = atoi(p);
	lws_set_log_level(level, NULL);

	info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
	context = lws_create_context(&info);
	if (!context)
		return 1;

	info.options = LWS_SERVER_OPTION_ADOPT_APPLY_LISTEN_ACCEPT_CONFIG;
	info.vhost_name = "localhost";
	info.protocols = protocols;
	info.pvo = &pvo;
	info.listen_accept_role = "raw-skt";
	info.listen_accept_protocol = "line-counter";
	if (!lws_create_vhost(context, &info)) {
		lws_context_destroy(context);
		return 1;
	}

	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	while (!interrupted && lws_service(context, 0) >= 0)
		;
	lws_context_destroy(context);

	return 0;
}
