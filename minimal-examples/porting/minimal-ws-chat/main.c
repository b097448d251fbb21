/* A chat: what one says all hear, itself included. Who lags behind is closed. */

#include <libwebsockets.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST 4096
#define LAGS "you lag too far behind"
#define TEXT_ONLY "text only, please"
#define TOO_LONG "that is too long"

struct message {
	uint8_t *text; /* behind LWS_PRE bytes */
	size_t len;
};

struct pss {
	struct pss *next;
	struct lws *wsi;
	struct message part; /* of what it is saying */
	uint32_t tail;
	unsigned int culled:1;
};

struct vhd {
	struct lws_vhost *vhost;
	const struct lws_protocols *protocol;
	struct lws_ring *ring;
	struct pss *sessions;
};

static struct lws_context *context;
static volatile sig_atomic_t interrupted;

static void
message_free(void *element)
{
	free(((struct message *)element)->text);
}

/* Drops what nobody is still to hear. */
static void
release(struct vhd *vhd)
{
	uint32_t oldest = lws_ring_get_oldest_tail(vhd->ring);
	size_t waiting, most = 0;
	struct pss *pss;

	lws_ring_consume(vhd->ring, &oldest, NULL,
			 lws_ring_get_count_waiting_elements(vhd->ring, &oldest));
	for (pss = vhd->sessions; pss; pss = pss->next) {
		waiting = lws_ring_get_count_waiting_elements(vhd->ring,
							      &pss->tail);
		if (waiting > most) {
			most = waiting;
			oldest = pss->tail;
		}
	}
	lws_ring_update_oldest_tail(vhd->ring, oldest);
}

/* Closes those who have still to hear the oldest message. */
static void
cull(struct vhd *vhd)
{
	uint32_t oldest = lws_ring_get_oldest_tail(vhd->ring);
	struct pss **ppss = &vhd->sessions, *pss;

	while ((pss = *ppss)) {
		if (pss->tail != oldest) {
			ppss = &pss->next;
			continue;
		}
		lwsl_user("one lags: culled\n");
		*ppss = pss->next;
		pss->culled = 1;
		lws_close_reason(pss->wsi, LWS_CLOSE_STATUS_POLICY_VIOLATION,
				 (uint8_t *)LAGS, strlen(LAGS));
		lws_set_timeout(pss->wsi, PENDING_TIMEOUT_LAGGING,
				LWS_TO_KILL_ASYNC);
	}
	release(vhd);
}

static int
callback_chat(struct lws *wsi, enum lws_callback_reasons reason, void *user,
	      void *in, size_t len)
{
	struct pss *pss = user, **ppss;
	struct vhd *vhd = lws_protocol_vh_priv_get(lws_get_vhost(wsi),
						   lws_get_protocol(wsi));
	const struct message *next;
	const char *backlog;
	uint8_t *grown;

	switch (reason) {
	case LWS_CALLBACK_PROTOCOL_INIT:
		vhd = lws_protocol_vh_priv_zalloc(lws_get_vhost(wsi),
						  lws_get_protocol(wsi),
						  sizeof(*vhd));
		if (!vhd)
			return -1;
		vhd->vhost = lws_get_vhost(wsi);
		vhd->protocol = lws_get_protocol(wsi);
		if (lws_pvo_get_str(in, "backlog", &backlog))
			backlog = "8";
		vhd->ring = lws_ring_create(sizeof(struct message),
					    strtoul(backlog, NULL, 10),
					    message_free);
		if (!vhd->ring)
			return -1;
		break;

	case LWS_CALLBACK_PROTOCOL_DESTROY:
		if (vhd && vhd->ring)
			lws_ring_destroy(vhd->ring);
		break;

	case LWS_CALLBACK_ESTABLISHED:
		pss->wsi = wsi;
		pss->tail = lws_ring_get_oldest_tail(vhd->ring);
		lws_ring_consume(vhd->ring, &pss->tail, NULL,
			lws_ring_get_count_waiting_elements(vhd->ring,
							    &pss->tail));
		pss->next = vhd->sessions;
		vhd->sessions = pss;
		break;

	case LWS_CALLBACK_CLOSED:
		free(pss->part.text);
		for (ppss = &vhd->sessions; *ppss; ppss = &(*ppss)->next)
			if (*ppss == pss) {
				*ppss = pss->next;
				break;
			}
		release(vhd);
		break;

	case LWS_CALLBACK_RECEIVE:
		if (pss->culled)
			break;
		if (lws_frame_is_binary(wsi)) {
			lws_close_reason(wsi, LWS_CLOSE_STATUS_UNACCEPTABLE_OPCODE,
					 (uint8_t *)TEXT_ONLY, strlen(TEXT_ONLY));
			return -1;
		}
		if (pss->part.len + len > LONGEST) {
			lws_close_reason(wsi, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE,
					 (uint8_t *)TOO_LONG, strlen(TOO_LONG));
			return -1;
		}
		grown = realloc(pss->part.text, LWS_PRE + pss->part.len + len);
		if (!grown)
			return -1;
		memcpy(grown + LWS_PRE + pss->part.len, in, len);
		pss->part.text = grown;
		pss->part.len += len;
		if (!lws_is_final_fragment(wsi))
			break;
		if (!lws_ring_get_count_free_elements(vhd->ring))
			cull(vhd);
		if (lws_ring_insert(vhd->ring, &pss->part, 1) != 1)
			message_free(&pss->part);
		memset(&pss->part, 0, sizeof(pss->part));
		if (pss->culled)
			break;
		lws_callback_on_writable_all_protocol_vhost(vhd->vhost,
							    vhd->protocol);
		lws_rx_flow_control(wsi, 0); /* until it has heard this itself */
		break;

	case LWS_CALLBACK_SERVER_WRITEABLE:
		if (pss->culled)
			break;
		next = lws_ring_get_element(vhd->ring, &pss->tail);
		if (next) {
			if (lws_write(wsi, next->text + LWS_PRE, next->len,
				      LWS_WRITE_TEXT) < (int)next->len)
				return -1;
			lws_ring_consume(vhd->ring, &pss->tail, NULL, 1);
			release(vhd);
		}
		if (lws_ring_get_element(vhd->ring, &pss->tail))
			lws_callback_on_writable(wsi);
		else
			lws_rx_flow_control(wsi, 1);
		break;

	default:
		return lws_callback_http_dummy(wsi, reason, user, in, len);
	}

	return 0;
}

static const struct lws_protocols protocols[] = {
	{ "lws-chat", callback_chat, sizeof(struct pss), 1024, 0, NULL, 0 },
	{ NULL, NULL, 0, 0, 0, NULL, 0 }
};

static const struct lws_protocol_vhost_options
	pvo1 = { NULL, NULL, "backlog", "4" },
	pvo = { NULL, &pvo1, "lws-chat", "" };

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

	info.vhost_name = "localhost";
	info.protocols = protocols;
	info.pvo = &pvo;
	context = lws_create_context(&info);
	if (!context)
		return 1;

	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	while (!interrupted && lws_service(context, 0) >= 0)
		;
	lws_context_destroy(context);

	return 0;
}
