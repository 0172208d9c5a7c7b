"""Says whether what a run needs is installed and works, and what to do where it does not; exit code 1 then."""
import argparse
import sys

try:
    from mmadasap.doctor import examine, format_findings
except ImportError as error:
    # A host library of a version that is not supported.
    sys.exit(f'Error: {error}')


def main() -> None:
    """Parses, examines, prints."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    findings = examine()
    print(format_findings(findings))
    sys.exit(any(finding.remedy for finding in findings))


if __name__ == '__main__':
    main()
