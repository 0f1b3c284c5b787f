"""The TLS port, scanned by another project, `sslyze`, and compared with the recommendations of Mozilla that it brings."""

import pytest
from cryptography.x509 import DNSName, SubjectAlternativeName
from sslyze import RobotScanResultEnum, Scanner, ScanCommandAttemptStatusEnum, ServerNetworkLocation, ServerScanRequest
from sslyze.mozilla_tls_profile.tls_config_checker import (
    MozillaTlsConfiguration, ServerNotCompliantWithTlsConfiguration, TlsConfigurationEnum, check_server_against_tls_configuration,
)

from sites import HOST, serving

# Of an authority in one of the lists that the scanner brings.
pytestmark = pytest.mark.filterwarnings("ignore:Parsed a serial number")

STRONG = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
}
STRONG_OF_TLS_1_3 = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("tls"), tls=True) as run:
        yield scan(run.ports[1])


def scan(port):
    scanner = Scanner(per_server_concurrent_connections_limit=2)
    scanner.queue_scans([ServerScanRequest(ServerNetworkLocation(HOST, port, "127.0.0.1"))])
    result, = scanner.get_results()
    assert result.scan_result, result.connectivity_error_trace
    return result


def result_of(scanned, command):
    attempt = getattr(scanned.scan_result, command)
    assert attempt.status is ScanCommandAttemptStatusEnum.COMPLETED, (command, attempt)
    return attempt.result


def issues(scanned, profile):
    try:
        check_server_against_tls_configuration(scanned, MozillaTlsConfiguration.get(profile))
    except ServerNotCompliantWithTlsConfiguration as found:
        # No authority that a browser trusts has issued the certificate.
        return {name: text for name, text in found.issues.items() if name != "certificate_path_validation"}
    return {}


def test_mozilla_finds_no_issue(scanned):
    assert issues(scanned, TlsConfigurationEnum.MOZILLA_INTERMEDIATE) == {}


def test_mozilla_modern_is_a_setting(tmp_path):
    with serving(tmp_path, tls=True, config={"ssl-protocols": "TLSv1.3"}) as run:
        assert issues(scan(run.ports[1]), TlsConfigurationEnum.MOZILLA_MODERN) == {}


@pytest.mark.parametrize("version", ["ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"])
def test_old_versions_are_refused(scanned, version):
    assert not result_of(scanned, f"{version}_cipher_suites").is_tls_version_supported


@pytest.mark.parametrize("version, suites", [("tls_1_2", STRONG), ("tls_1_3", STRONG_OF_TLS_1_3)])
def test_cipher_suites(scanned, version, suites):
    accepted = result_of(scanned, f"{version}_cipher_suites").accepted_cipher_suites
    assert {one.cipher_suite.name for one in accepted} == suites


def test_groups(scanned):
    groups = {curve.name for curve in result_of(scanned, "elliptic_curves").supported_curves}
    assert groups == {"X25519", "secp256r1", "secp384r1"}


def test_certificate_is_that_of_the_host(scanned):
    deployment, = result_of(scanned, "certificate_info").certificate_deployments
    names = deployment.received_certificate_chain[0].extensions.get_extension_for_class(SubjectAlternativeName)
    assert names.value.get_values_for_type(DNSName) == [HOST]


def test_known_attacks_fail(scanned):
    assert not result_of(scanned, "heartbleed").is_vulnerable_to_heartbleed
    assert not result_of(scanned, "openssl_ccs_injection").is_vulnerable_to_ccs_injection
    assert result_of(scanned, "robot").robot_result is RobotScanResultEnum.NOT_VULNERABLE_RSA_NOT_SUPPORTED
    assert not result_of(scanned, "tls_compression").supports_compression
    assert not result_of(scanned, "tls_1_3_early_data").supports_early_data
    assert result_of(scanned, "tls_extended_master_secret").supports_ems_extension
    renegotiation = result_of(scanned, "session_renegotiation")
    assert renegotiation.supports_secure_renegotiation and not renegotiation.is_vulnerable_to_client_renegotiation_dos


def test_sessions_are_resumed_from_memory(scanned):
    resumption = result_of(scanned, "session_resumption")
    assert resumption.session_id_resumption_result.name == "FULLY_SUPPORTED"
    assert resumption.tls_ticket_resumption_result.name == "NOT_SUPPORTED"


def test_strict_transport_security(scanned):
    header = result_of(scanned, "http_headers").strict_transport_security_header
    assert header.max_age == 31_536_000 and header.include_subdomains
